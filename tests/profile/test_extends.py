from __future__ import annotations

from tests.profile.folder import Folder


def names(folder: Folder, text: str = "") -> list[str]:
    return [file.name for file in folder.load(text).files]


def test_order(folder: Folder) -> None:
    """Files are merged in the order of `extends`, the file itself last, and it wins."""
    folder.write("a.toml", 'description = "a"\n[cache]\npool_size = 1')
    folder.write("b.toml", "[cache]\npool_size = 2\n[cache.memory]\nmax_items = 2")
    loaded = folder.load('extends = ["a.toml", "b.toml"]\n[cache.memory]\nmax_items = 3')
    assert [file.name for file in loaded.files] == ["a.toml", "b.toml", "p.toml"]
    assert loaded.profile.description == "a"
    assert loaded.profile.cache.pool_size == 2
    assert loaded.profile.cache.memory.max_items == 3


def test_each_file_once(folder: Folder) -> None:
    """A file that two others extend is merged once, before the first of them, and undoes neither."""
    folder.write("base.toml", "[cache]\npool_size = 1")
    folder.write("a.toml", 'extends = ["base.toml"]\n[cache]\npool_size = 2')
    folder.write("b.toml", 'extends = ["base.toml"]')
    assert names(folder, 'extends = ["a.toml", "b.toml"]') == ["base.toml", "a.toml", "b.toml", "p.toml"]
    assert folder.load().profile.cache.pool_size == 2


def test_beside_the_file_that_extends(folder: Folder) -> None:
    """A name is looked up beside the file that extends, before the folders of profiles."""
    folder.write("base.toml", "[cache]\npool_size = 1")
    folder.write("inner/base.toml", "[cache]\npool_size = 2")
    folder.write("inner/a.toml", 'extends = ["base.toml"]')
    assert folder.load('extends = ["inner/a.toml"]').profile.cache.pool_size == 2


def test_arrays_are_replaced(folder: Folder) -> None:
    """An array is replaced as a whole, an inline table is merged like any table."""
    folder.write(
        "a.toml", '[server]\nbind = ["127.0.0.1:1", "127.0.0.1:2"]\n[upstream_defaults]\nrate_limit = { max = 5 }'
    )
    loaded = folder.load(
        'extends = ["a.toml"]\n[server]\nbind = ["127.0.0.1:3"]\n[upstream_defaults]\nrate_limit = { window = "1s" }'
    )
    assert loaded.profile.server.bind == ("127.0.0.1:3",)
    assert loaded.profile.upstream_defaults.rate_limit.max == 5
    assert loaded.profile.upstream_defaults.rate_limit.window == 1.0


def test_a_missing_file(folder: Folder) -> None:
    """A file that is not there is told at its name, with what there is near."""
    folder.write("base.toml", "")
    (fault,) = folder.faults('extends = [\n  "bas.toml",\n]')
    assert str(fault) == (
        f'p.toml:2:3: extends[0]: expected a profile in {folder.path}, found "bas.toml"\n'
        '     2 |   "bas.toml",\n'
        "       |   ^\n"
        '         did you mean "base.toml"?'
    )


def test_a_loop(folder: Folder) -> None:
    """Files that extend each other are a fault with the way around."""
    folder.write("a.toml", 'extends = ["b.toml"]')
    folder.write("b.toml", 'extends = ["a.toml"]')
    assert folder.lines('extends = ["a.toml"]') == [
        "b.toml:1:12: extends[0]: expected no loop, found a.toml extends b.toml extends a.toml"
    ]


def test_itself(folder: Folder) -> None:
    """A file that extends itself is the shortest loop."""
    assert folder.lines('extends = ["p.toml"]') == [
        "p.toml:1:12: extends[0]: expected no loop, found p.toml extends p.toml"
    ]


def test_a_long_chain(folder: Folder) -> None:
    """A chain that is too long to follow is a fault, not a crash."""
    for number in range(40):
        folder.write(f"{number}.toml", f'extends = ["{number + 1}.toml"]')
    (line,) = folder.lines('extends = ["0.toml"]')
    assert line.endswith("extends[0]: expected at most 32 files that extend each other, found more")


def test_not_an_array(folder: Folder) -> None:
    """`extends` is an array of names."""
    assert folder.lines('extends = "base.toml"') == [
        'p.toml:1:11: extends: expected an array such as ["base.toml"], found "base.toml"'
    ]
    assert folder.lines('extends = [1, ""]') == [
        'p.toml:1:12: extends[0]: expected the name of a profile such as "base.toml", found 1',
        'p.toml:1:15: extends[1]: expected the name of a profile such as "base.toml", found ""',
    ]


def test_faults_of_several_files(folder: Folder) -> None:
    """All files that can't be read are told at once, with the faults of those that can."""
    folder.write("a.toml", "x = = 1")
    folder.write("b.toml", "[cache]\npol_size = 1")
    (folder.path / "c.toml").mkdir()
    assert folder.lines('extends = ["a.toml", "b.toml", "c.toml"]\n[tools.t]\nstrategy = 1') == [
        "c.toml: expected a file, found a folder",
        "a.toml:1:5: expected TOML, found a syntax error: invalid value",
        'b.toml:2:1: cache.pol_size: expected one of the keys memory, disk, shared or pool_size, found "pol_size"',
        "p.toml:3:12: tools.t.strategy: expected a string, found 1",
    ]
