import json
from zlib import crc32

from rauta_control import sharedmem
from rauta_control.sharedmem import EndpointWord, RouteWord, Vital

CHECKSUM = 3026911755  # is to change with every word; MAGIC too, unless a word was only added where none was


def test_another_layout_of_the_words_has_another_number() -> None:
    """By it a program that takes over (handover.py) knows whether it reads what running workers write."""
    enums = [sorted(enum.__members__.items()) for enum in (Vital, RouteWord, EndpointWord)]
    sizes = {name: value for name, value in vars(sharedmem).items() if name.isupper() and isinstance(value, int)}
    assert sizes.pop("MAGIC") == 0x5241555441_03
    assert crc32(json.dumps([enums, sizes], sort_keys=True).encode()) == CHECKSUM
