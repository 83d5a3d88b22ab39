"""A description as a picture: SVG without any library."""

from __future__ import annotations

from textwrap import wrap

from nirbridge.reports import count_text, counted, printable, shape_text
from nirbridge.showing.bundle_lines import draw_bundles
from nirbridge.showing.describe import Description, NodeInfo
from nirbridge.showing.drawing import DASHES, EDGE, INK, draw_text, escaped, text_width
from nirbridge.showing.edge_labels import LABEL_SIZE, overhang, place_edge_labels
from nirbridge.showing.placement import Placement, Size, place_boxes
from nirbridge.showing.roles import ROLES
from nirbridge.showing.routing import Router

_BAD = "#d50000"
_LINE = 15.0
_PADDING = 9.0
_LONGEST = 34
"""Characters of a line in a box; the tooltip has the whole text."""
_MARGIN = 24.0
_HEAD = 84.0
_READING_WIDTH = 480.0
"""A picture that lists problems is at least so wide."""


def to_svg(description: Description, title: str = "graph") -> str:
    """The picture as one SVG document, dark on white.

    Boxes are coloured by family and stand in the order of execution from top to bottom, tall drawings in columns.
    Edges say the shape that they carry, where there is room; the box of their source says it always.
    A dashed line closes a cycle and brings the value of the step before; a red frame has a shape that does not fit.
    """
    lines = {node.name: _lines(node) for node in description.nodes}
    sizes = {name: _size(texts) for name, texts in lines.items()}
    placement = place_boxes(sizes, [(e.source, e.target, e.delayed) for e in description.edges])
    head = _header(description, title)
    edges, beyond = _edges(description, placement)
    body = [*edges, *(_node(node, lines[node.name], placement) for node in description.nodes)]
    legend, legend_width = _legend(description, placement.bundles.count)
    least = _READING_WIDTH if description.problems else 0.0
    width = max(placement.width + 2 * beyond, legend_width, text_width(title, 18, bold=True), least) + 2 * _MARGIN
    problems = _problems(description, width - 2 * _MARGIN)
    height = _HEAD + placement.height + _LINE * len(problems) + _MARGIN
    shift = max(0.0, (width - 2 * _MARGIN - placement.width) / 2)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" fill="{INK}">',
            f"<title>{escaped(title)}</title>",
            f'<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{EDGE}"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *head,
            *legend,
            f'<g transform="translate({_MARGIN + shift:.1f} {_HEAD:.1f})">',
            *body,
            "</g>",
            *(
                draw_text(_MARGIN, _HEAD + placement.height + _LINE * i, line, 11, fill=_BAD)
                for i, line in enumerate(problems)
            ),
            "</svg>",
            "",
        ]
    )


def _lines(node: NodeInfo) -> list[str]:
    levels = f", {node.phases} phases" if node.phases else ""
    if not levels and node.levels is not None and node.type == "MultiLevelLIF":
        levels = f", {counted(node.levels, 'lane')}"
    shape = shape_text(node.output_shape)
    if node.input_shape != node.output_shape:
        shape = f"{shape_text(node.input_shape)} → {shape}"
    count = [counted(node.parameters, "parameter")] if node.parameters else []
    return [_cut(text) for text in (node.name, f"{node.type}{levels}", shape, *count)]


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 + 1 :]}"


def _size(lines: list[str]) -> Size:
    width = max(text_width(lines[0], 12, bold=True), *(text_width(line, 11) for line in lines[1:]))
    return max(width + 2 * _PADDING, 84.0), _LINE * len(lines) + 2 * _PADDING - 4


def _node(node: NodeInfo, lines: list[str], placement: Placement) -> str:
    vertex = placement.layered.box[node.name]
    width, height = placement.sizes[node.name]
    centre, top = placement.x[vertex], placement.top[vertex]
    _, fill, stroke = ROLES[node.role]
    if node.output_shape is None:
        stroke = _BAD
    tooltip = "\n".join([f"{node.name} ({node.type})", *node.details])
    texts = [
        draw_text(centre, top + _PADDING + 9 + _LINE * i, line, 11 if i else 12, anchor="middle", bold=not i)
        for i, line in enumerate(lines)
    ]
    return "".join(
        [
            f'<g class="node"><title>{escaped(tooltip, keep_lines=True)}</title>',
            f'<rect x="{centre - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>',
            *texts,
            "</g>",
        ]
    )


def _edges(description: Description, placement: Placement) -> tuple[list[str], float]:
    """The lines with their labels, and how far these reach beyond the placement."""
    router = Router(placement)
    edges = [description.edges[number] for number in placement.bundles.drawn]
    paths = [router.path(route) for route in placement.layered.routes]
    steps = [place for place in map(router.label_place, placement.layered.routes) if place is not None]
    drawn = draw_bundles(description.edges, placement)
    for edge, path in zip(edges, paths, strict=True):
        dashes = DASHES if edge.delayed else ""
        told = f"{edge.source} → {edge.target}  {shape_text(edge.shape)}" + ", 1 step later" * edge.delayed
        drawn.append(
            f'<path class="edge" d="{path}" fill="none" stroke="{EDGE}" stroke-width="1.3"{dashes} '
            f'marker-end="url(#arrow)"><title>{escaped(told)}</title></path>'
        )
    for x, y in steps:
        drawn.append(f'<rect x="{x - 19:.1f}" y="{y - 8:.1f}" width="38" height="16" fill="#ffffff"/>')
        drawn.append(draw_text(x, y + 4, "1 step", 11, anchor="middle", fill=EDGE))
    if placement.bundles.count:  # too dense for more words
        return drawn, 0.0
    shapes = [shape_text(edge.shape) for edge in edges]
    places = place_edge_labels(paths, shapes, placement, [(x - 19, y - 8, x + 19, y + 8) for x, y in steps])
    for place, shape in zip(places, shapes, strict=True):
        if place is not None:
            drawn.append(draw_text(place[0], place[1] + 3.5, shape, LABEL_SIZE, fill=EDGE))
    return drawn, overhang(places, shapes, placement)


def _header(description: Description, title: str) -> list[str]:
    totals = description.totals()
    subtitle = ", ".join(
        [
            counted(totals["nodes"], "node"),
            counted(totals["edges"], "edge"),
            counted(totals["neurons"], "neuron"),
            f"{count_text(totals['parameters'])} parameters",
        ]
    )
    return [draw_text(_MARGIN, 32, title, 18, bold=True), draw_text(_MARGIN, 50, subtitle, 12)]


def _legend(description: Description, bundled: int) -> tuple[list[str], float]:
    """A swatch for every family that occurs, the dashed line where a cycle closes, bundled edges; also its width."""
    present = {node.role for node in description.nodes}
    x, drawn = _MARGIN, []
    for role, (words, fill, stroke) in ROLES.items():
        if role in present:
            drawn.append(f'<rect x="{x:.1f}" y="61" width="14" height="11" rx="2" fill="{fill}" stroke="{stroke}"/>')
            drawn.append(draw_text(x + 19, 71, words, 11))
            x += 19 + text_width(words, 11) + 18
    if any(edge.delayed for edge in description.edges):
        drawn.append(f'<path d="M{x:.1f} 67h26" stroke="{EDGE}" stroke-width="1.3"{DASHES}/>')
        drawn.append(draw_text(x + 31, 71, "arrives one step later", 11))
        x += 31 + text_width("arrives one step later", 11)
    if bundled:
        x += 18
        words = f"{counted(bundled, 'edge')} in shared lines; the numbers at boxes count those that come and go"
        drawn.append(f'<path d="M{x:.1f} 67h26" stroke="{EDGE}" stroke-width="2"/>')
        drawn.append(draw_text(x + 31, 71, words, 11))
        x += 31 + text_width(words, 11)
    return drawn, x - _MARGIN


def _problems(description: Description, width: float) -> list[str]:
    """What is wrong, broken into lines that fit the picture."""
    characters = max(int(width / text_width("n", 11)), 20)
    return [line for problem in description.problems for line in wrap(printable(str(problem)), characters)]
