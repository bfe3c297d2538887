"""How many examples hypothesis makes where a test asks for more than its profile does."""

import hypothesis


def rounds(number: int) -> int:
    """That many in `make verify`, a fifth of them else."""
    return number if hypothesis.settings.get_current_profile_name() == "thorough" else -(-number // 5)
