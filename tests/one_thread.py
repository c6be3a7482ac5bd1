"""One thread of BLAS and of FAISS in a test process: imported before NumPy, which reads this once.

With as many processes as cores, or on a busy machine, several threads wait for each other in busy loops, and a test
takes up to four times the processor time. Tests of what threads may change set their number themselves.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
