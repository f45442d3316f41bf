#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: checks the cuda backend there, then times it beside eager PyTorch.
#   bash benchmarks/gpu.sh [PYTHON] [RESULTS]     a Python with livesketch's requirements, pytest and a PyTorch for CUDA
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
python=${1:-.venv/bin/python} results=${2:-benchmarks/results}
failed=0
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
LIVESKETCH_REQUIRE=cuda timeout 20m "$python" -m pytest -q -m gpu -p no:cacheprovider \
  tests/test_cuda_backend.py tests/test_cuda_cells.py tests/test_cuda_text.py tests/test_cuda_streams.py \
  tests/test_cuda_graphs.py || failed=1
timeout 20m "$python" -m benchmarks cuda --out "$results" || failed=1
exit $failed
