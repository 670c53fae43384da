# The learner's side: the surrogate, its fine-tuning and the relaxation, on a GPU.
# Build at the top of the repository: docker build -f docker/learner.Dockerfile .

# torch 2.13.0 from PyPI asks for cuda-toolkit 13.0.3, cuDNN 9.20 and NCCL as wheels, and the driver
# (580 or newer for CUDA 13) is put in by NVIDIA's container toolkit. A CUDA base image would bring
# all of it a second time, so the base is a plain Python.
# For a build that never changes: python:3.11.14-slim-bookworm@sha256:… of `docker buildx imagetools
# inspect python:3.11.14-slim-bookworm`, at both FROM lines.
FROM python:3.11.14-slim-bookworm AS builder

WORKDIR /source
COPY docker/constraints.txt docker/
ENV PIP_CONSTRAINT=/source/docker/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/finetuna_flows
ENV PATH=/opt/finetuna_flows/bin:$PATH
# a layer of its own: some gigabytes that change with torch alone
RUN pip install --no-cache-dir torch==2.13.0
COPY pyproject.toml README.md LICENSE ./
COPY finetuna_flows finetuna_flows
RUN pip install --no-cache-dir './[fireworks,remote]' && pip check


FROM python:3.11.14-slim-bookworm

ARG REVISION=unknown
LABEL org.opencontainers.image.title="finetuna_flows learner" \
      org.opencontainers.image.description="Surrogates of finetuna_flows on a GPU" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="BSD-3-Clause"

# the folders exist and belong to the user, so that named volumes do too
RUN groupadd --gid 10001 flows \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin flows \
    && install --directory --owner 10001 --group 10001 /runs /rendezvous
COPY --from=builder /opt/finetuna_flows /opt/finetuna_flows

ENV PATH=/opt/finetuna_flows/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    JOBFLOW_CONFIG_FILE=/config/jobflow.yaml \
    FINETUNA_FLOWS_DEVICE=cuda \
    FINETUNA_FLOWS_RENDEZVOUS_PATH=/rendezvous \
    FINETUNA_FLOWS_MODELS_PATH=/runs/models \
    FINETUNA_FLOWS_STORE_PATH=/runs/store

WORKDIR /runs
USER 10001:10001

# the package imports and torch finds the GPU; this makes no context, which a GPU in exclusive mode
# would refuse beside a running job
HEALTHCHECK --interval=2m --timeout=60s --start-period=60s --retries=2 \
    CMD ["python", "-c", "from finetuna_flows.surrogates.device import torch_device; torch_device()"]

CMD ["finetuna-flows", "doctor"]
