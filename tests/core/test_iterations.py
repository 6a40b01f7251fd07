"""Who hears of iterations: one listener of this thread, until it asks for the end."""

from concurrent.futures import ThreadPoolExecutor

from fastkl._core.iterations import Listener, is_heard, is_stopped, read_as, report, told


def test_nobody_listens():
    assert not is_heard()
    assert not is_stopped()
    assert report(lambda: 1 / 0) is False, "what nobody hears is not made"


def test_each_place_is_heard_until_the_end_is_asked_for():
    heard = []

    def tell(state):
        heard.append(state())
        return len(heard) == 2

    with told(Listener(tell)):
        assert [report(lambda i=i: i) for i in range(4)] == [False, True, True, True]
        assert is_stopped()
    assert heard == [0, 1]
    assert not is_heard()


def test_meanings_are_nested_and_silence_is_one_of_them():
    heard = []
    with told(Listener(lambda state: heard.append(state()))), read_as(lambda value: {"outer": value}):
        with read_as(lambda value: value + 1):
            report(lambda: 1)
        with told(None):
            assert not is_heard()
            report(lambda: 2)
            with read_as(lambda value: value):
                report(lambda: 3)
        report(lambda: 4)
    assert heard == [{"outer": 2}, {"outer": 4}]


def test_another_thread_does_not_hear():
    heard = []
    with told(Listener(lambda state: heard.append(state()))), ThreadPoolExecutor(1) as pool:
        assert pool.submit(report, lambda: 1).result() is False
    assert heard == []
