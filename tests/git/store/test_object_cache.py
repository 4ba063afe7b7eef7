"""What was written lately is at hand, and not more than was asked for."""

from __future__ import annotations

from gitorch.git.store.object_cache import ObjectCache


def test_what_was_put_is_there() -> None:
    recent = ObjectCache()
    recent.put(b"1", b"one")
    assert recent.get(b"1") == b"one"
    assert recent.get(b"2") is None


def test_what_is_oldest_makes_room() -> None:
    recent = ObjectCache(capacity=10)
    recent.put(b"1", b"12345")
    recent.put(b"2", b"12345")
    recent.put(b"1", b"12345")  # it is the newest now
    recent.put(b"3", b"12345")
    assert [recent.get(name) for name in (b"1", b"2", b"3")] == [b"12345", None, b"12345"]


def test_what_is_too_large_is_not_kept() -> None:
    recent = ObjectCache(capacity=10)
    recent.put(b"1", b"12345678901")
    recent.put(b"2", b"1234567890")
    assert [recent.get(name) for name in (b"1", b"2")] == [None, b"1234567890"]
