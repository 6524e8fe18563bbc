from __future__ import annotations

from gateway.catalogue.normalized import WAYS, spellings
from gateway.telemetry.shapes import MissShapes, Spread


def noted(*calls: tuple[str, bytes], other: str = "") -> MissShapes:
    """Misses of one tool, by its argument `name` and the answer."""
    shapes = MissShapes()
    for name, answer in calls:
        shapes.note("t", name + other, spellings({"name": name, "other": other, "limit": 5}), answer)
    return shapes


def spread(*calls: tuple[str, bytes]) -> Spread:
    return noted(*calls).misses()["t"].arguments["name"]


def test_nothing_noted_is_nothing() -> None:
    """No tool, no misses."""
    assert MissShapes().misses() == {}


def test_the_same_again() -> None:
    """What had been there before is told from what is new."""
    misses = noted(("a", b"1"), ("b", b"2"), ("a", b"1"), ("a", b"1")).misses()["t"]
    assert (misses.noted, misses.again) == (4, 2)


def test_only_texts_have_spellings() -> None:
    """Numbers, and texts too long for a name, are left out."""
    assert set(noted(("a", b"1")).misses()["t"].arguments) == {"name", "other"}
    assert spellings({"text": "x" * 201, "on": True, "some": ["a"]}) == {}


def test_the_way_that_leaves_the_fewest() -> None:
    """Each spelling was answered the same, and the plain one is among them."""
    found = spread(("date-picker", b"1"), ("DatePicker", b"1"), ("date_picker", b"1"), ("input", b"2"))
    assert found == Spread(4, 2, WAYS.index("kebab({})"))


def test_the_way_that_changes_least() -> None:
    """Where blanks are all that differs, nothing else is touched; case before words."""
    assert spread(("A B", b"1"), (" A B", b"1")).way == WAYS.index("trim({})")
    assert spread(("ab", b"1"), ("AB", b"1"), (" Ab", b"1")).way == WAYS.index("lower(trim({}))")


def test_spellings_that_are_answered_differently_are_different() -> None:
    """Case that matters to the upstream is kept."""
    assert spread(("readme", b"1"), ("README", b"2"), ("Readme", b"3")) == Spread(3, 3, None)


def test_a_spelling_that_nobody_asked_for_is_not_made_up() -> None:
    """Whether the upstream would know it is not known."""
    assert spread(("DatePicker", b"1"), ("Date Picker", b"1")).way is None


def test_the_other_arguments_count() -> None:
    """Answers are compared only where everything else is equal."""
    shapes = MissShapes()
    for name, other, answer in (("A", "1", b"x"), ("a", "2", b"y"), ("A", "2", b"y"), ("a", "1", b"x")):
        shapes.note("t", name + other, spellings({"name": name, "other": other}), answer)
    arguments = shapes.misses()["t"].arguments
    assert arguments["name"] == Spread(2, 1, WAYS.index("lower(trim({}))"))
    assert arguments["other"] == Spread(2, 2, None)


def test_what_is_remembered_is_bounded() -> None:
    """The last five hundred misses of a tool, and an argument that some calls leave out."""
    shapes = MissShapes()
    for number in range(1500):
        texts = {"name": str(number), **({"extra": "e"} if number % 2 else {})}
        shapes.note("t", str(number), spellings(texts), b"")
    misses = shapes.misses()["t"]
    assert (misses.noted, misses.again) == (500, 0)
    assert misses.arguments["extra"] == Spread(1, 1, None)
