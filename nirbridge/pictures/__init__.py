"""What all pictures of matplotlib share: libraries, colours, events in two colours, files."""

from nirbridge.pictures.libraries import new_figure, require_libraries
from nirbridge.pictures.polarity import polarity_image
from nirbridge.pictures.saving import require_named, save_figure

__all__ = ["new_figure", "polarity_image", "require_libraries", "require_named", "save_figure"]
