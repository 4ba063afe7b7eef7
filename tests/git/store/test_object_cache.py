"""The cache of cachely written objects, and its limit."""

from __future__ import annotations

from gitorch.git.store.object_cache import ObjectCache


def test_an_object_that_was_put_is_found() -> None:
    cache = ObjectCache()
    cache.put(b"1", b"one")
    assert cache.get(b"1") == b"one"
    assert cache.get(b"2") is None


def test_the_oldest_object_makes_room() -> None:
    cache = ObjectCache(capacity=10)
    cache.put(b"1", b"12345")
    cache.put(b"2", b"12345")
    cache.put(b"1", b"12345")  # it is the newest now
    cache.put(b"3", b"12345")
    assert [cache.get(name) for name in (b"1", b"2", b"3")] == [
        b"12345",
        None,
        b"12345",
    ]


def test_an_object_that_is_too_large_is_not_kept() -> None:
    cache = ObjectCache(capacity=10)
    cache.put(b"1", b"12345678901")
    cache.put(b"2", b"1234567890")
    assert [cache.get(name) for name in (b"1", b"2")] == [None, b"1234567890"]
