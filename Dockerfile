# Three images of one code: web (no TensorFlow, no NumPy), worker (TensorFlow for the CPU), worker-gpu.
#   docker build --target web -t etude-web .
# Give PYTHON_IMAGE with a digest (python:3.12-slim-bookworm@sha256:…) where builds must repeat to the byte.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
# Byte code is written while the image is built; the running process needs no writable file system for it.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/etude/bin:$PATH
# A number that no image of Debian gives away, so that volumes keep their owner when the base changes.
RUN groupadd --gid 10001 etude \
    && useradd --uid 10001 --gid etude --no-create-home --home-dir /home/etude --shell /usr/sbin/nologin etude \
    && install --directory --owner etude --group etude --mode 0700 /home/etude /storage

# Only wheels, each with its hash: nothing is compiled, so no compiler is ever there. The environment has no pip.
FROM base AS build-web
COPY requirements/web.txt /requirements/
RUN python -m venv --without-pip /opt/etude \
    && pip --python /opt/etude/bin/python install --no-cache-dir --compile --only-binary :all: --require-hashes \
       --requirement /requirements/web.txt

FROM base AS build-worker
COPY requirements/worker-cpu.txt requirements/pretrained.txt requirements/accounting.txt /requirements/
RUN python -m venv --without-pip /opt/etude \
    && pip --python /opt/etude/bin/python install --no-cache-dir --compile --only-binary :all: --require-hashes \
       --requirement /requirements/worker-cpu.txt \
    && pip --python /opt/etude/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
       --requirement /requirements/pretrained.txt --requirement /requirements/accounting.txt

FROM base AS build-worker-gpu
COPY requirements/worker-gpu.txt requirements/pretrained.txt requirements/accounting.txt /requirements/
RUN python -m venv --without-pip /opt/etude \
    && pip --python /opt/etude/bin/python install --no-cache-dir --compile --only-binary :all: --require-hashes \
       --requirement /requirements/worker-gpu.txt \
    && pip --python /opt/etude/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
       --requirement /requirements/pretrained.txt --requirement /requirements/accounting.txt

FROM base AS web
COPY --from=build-web /opt/etude /opt/etude
WORKDIR /app
COPY pyproject.toml ./
COPY migrations ./migrations
COPY shared ./shared
COPY web ./web
RUN python -m compileall -q --invalidation-mode unchecked-hash migrations shared web
ENV ETUDE_HOME=/home/etude ETUDE_STORAGE_URL=file:///storage ETUDE_HOST=0.0.0.0 ETUDE_PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-m", "shared.pulse", "web"]
CMD ["python", "-m", "web.serve"]

FROM base AS worker-code
WORKDIR /app
COPY shared ./shared
COPY worker ./worker
RUN python -m compileall -q --invalidation-mode unchecked-hash shared worker
# TensorFlow tells about its build on every start; its errors are still told.
ENV ETUDE_HOME=/home/etude ETUDE_STORAGE_URL=file:///storage TF_CPP_MIN_LOG_LEVEL=2
USER 10001:10001
# The light worker and the scheduler run from the worker's image, too; docker-compose.yml gives each its own check.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-m", "shared.pulse", "worker", "--queue", "train"]
CMD ["python", "-m", "worker.app", "--queue", "train"]

FROM worker-code AS worker
COPY --from=build-worker /opt/etude /opt/etude

FROM worker-code AS worker-gpu
COPY --from=build-worker-gpu /opt/etude /opt/etude
