# The parent's side: VASP (mounted, never shipped) or GPAW, on CPUs.
# Build at the top of the repository: docker build -f docker/parent.Dockerfile .

# For a build that never changes: python:3.11.14-slim-bookworm@sha256:… as in learner.Dockerfile,
# at both FROM lines.
FROM python:3.11.14-slim-bookworm AS builder

# TORCH_INDEX: a package index, or a folder in the build context, with the CPU build of torch. The
# parents import without torch, but the package asks for it and for the surrogates' packages, so all
# of them are installed; without TORCH_INDEX this is PyPI's build with some gigabytes of CUDA.
ARG TORCH_INDEX=
# GPAW: `yes` builds it as well, without MPI and without libraries
ARG GPAW=no

WORKDIR /source
COPY docker/constraints.txt docker/
ENV PIP_CONSTRAINT=/source/docker/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/finetuna_flows
ENV PATH=/opt/finetuna_flows/bin:$PATH
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install --no-cache-dir --no-deps --index-url "$TORCH_INDEX" torch==2.13.0; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY finetuna_flows finetuna_flows
RUN pip install --no-cache-dir './[fireworks,remote]' && pip check
COPY workflows/install workflows/install
# embedded.sh takes tblite where GPAW fails; who asked for GPAW shall hear of it instead
RUN if [ "$GPAW" = yes ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends g++=4:12.2.0-3 \
        && rm -rf /var/lib/apt/lists/* \
        && sh workflows/install/embedded.sh python \
        && python -c 'import gpaw.cgpaw, gpaw_data'; \
    fi


FROM python:3.11.14-slim-bookworm

ARG REVISION=unknown
LABEL org.opencontainers.image.title="finetuna_flows parent" \
      org.opencontainers.image.description="DFT labels of finetuna_flows; brings no VASP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="BSD-3-Clause"

# Open MPI, and what a VASP built on Debian 12 with gfortran is linked to
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libfftw3-double3=3.3.10-1 \
        libopenblas0-pthread=0.3.21+ds-4 \
        libscalapack-openmpi2.2=2.2.1-2+b1 \
        openmpi-bin=4.1.4-3+b1 \
    && rm -rf /var/lib/apt/lists/*

# the folders exist and belong to the user, so that named volumes do too
RUN groupadd --gid 10001 flows \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin flows \
    && install --directory --owner 10001 --group 10001 /runs /rendezvous
COPY --from=builder /opt/finetuna_flows /opt/finetuna_flows
COPY docker/parent_health.py /opt/parent_health.py

# ranks may not read the memory of each other in a container, and warn without this
ENV PATH=/opt/finetuna_flows/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMPI_MCA_btl_vader_single_copy_mechanism=none \
    OMP_NUM_THREADS=1 \
    JOBFLOW_CONFIG_FILE=/config/jobflow.yaml \
    VASP_COMMAND="mpirun -n 4 /opt/vasp/bin/vasp_std" \
    PMG_VASP_PSP_DIR=/opt/potcars \
    FINETUNA_FLOWS_RENDEZVOUS_PATH=/rendezvous \
    FINETUNA_FLOWS_MODELS_PATH=/runs/models \
    FINETUNA_FLOWS_STORE_PATH=/runs/store

WORKDIR /runs
USER 10001:10001

HEALTHCHECK --interval=2m --timeout=30s --start-period=30s --retries=2 \
    CMD ["python", "/opt/parent_health.py"]

CMD ["finetuna-flows", "doctor"]
