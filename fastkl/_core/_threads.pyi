from typing import TypedDict

class BuildInfo(TypedDict):
    openmp: bool
    instruction_set: str
    runtime_dispatch: bool
    threads: int
    block_rows: int

def effective_n_threads(n_jobs: int | None = None) -> int: ...
def build_info() -> dict[str, bool | int | str]: ...
