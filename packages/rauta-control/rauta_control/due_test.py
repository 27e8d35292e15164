from rauta_control.due import Due
from rauta_control.limits import Limits


def test_each_deadline_is_now_and_the_timeout_of_its_name() -> None:
    limits = Limits(
        body_timeout=1,
        head_timeout=2,
        keep_alive_timeout=4,
        pool_timeout=8,
        response_timeout=16,
        stream_timeout=32,
        tunnel_timeout=64,
        write_timeout=128,
    )
    due = Due()
    due.reckon(1000.0, limits)
    waits = {name: getattr(due, name) - 1000.0 for name in Due.__slots__}
    assert waits == {name: getattr(limits, f"{name}_timeout") for name in Due.__slots__}
