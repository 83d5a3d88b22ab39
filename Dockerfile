# nirbridge on the CPU, for services and batch jobs; docs/service.md says how to build and run it.
FROM python:3.10-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY nirbridge nirbridge
COPY runtimes runtimes
COPY datasets datasets
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.10-slim
# "norse,lava,events,demo" adds Lava's simulator and what `nirbridge demo` draws with; "events" leaves torch out.
ARG EXTRAS=norse,events
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Torch's own index has it without CUDA, a tenth of the size; it must be here before anything asks for the other one.
# hadolint ignore=DL3013
RUN case ",$EXTRAS," in *,norse,*) pip install --index-url "$TORCH_INDEX" torch torchvision ;; esac
# hadolint ignore=DL3013
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    wheel=$(ls /wheels/nirbridge-*.whl) && pip install "${wheel}[${EXTRAS}]"

# One thread a process is fastest for small networks, and what a container with one core has.
ENV PYTHONUNBUFFERED=1 MPLBACKEND=Agg OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# Machine code of the passes is kept here: with a volume the next container need not compile it again.
ENV NUMBA_CACHE_DIR=/cache/numba XDG_CACHE_HOME=/cache
RUN useradd --create-home --uid 1000 nirbridge && install -d -o 1000 -g 1000 /cache
USER 1000
WORKDIR /data
ENTRYPOINT ["nirbridge"]
CMD ["--help"]
