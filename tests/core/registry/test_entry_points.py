from pathlib import Path

from support.plugins import install

from mlcvbench.registry.entry_points import EntryPoint, find_entry_points


def test_entry_points_carry_the_distribution_and_version_of_the_metadata(tmp_path: Path):
    install(tmp_path, "my_plugin", {}, {"mine": "my_plugin.hooks:PLUGIN"}, version="2.5")

    assert find_entry_points([str(tmp_path)]) == [EntryPoint("mine", "my_plugin.hooks:PLUGIN", "my_plugin", "2.5")]


def test_module_and_attribute_are_read_apart():
    entry_point = EntryPoint("mine", "a.b:C.d [extra]", "dist", "1")

    assert (entry_point.module, entry_point.attribute) == ("a.b", "C.d")


def test_our_own_distribution_comes_first_and_the_others_in_the_order_of_their_names(tmp_path: Path):
    for name in ("zebra", "Aardvark", "mlcvbench"):
        install(tmp_path, name, {})

    assert [e.name for e in find_entry_points([str(tmp_path)])] == ["mlcvbench", "Aardvark", "zebra"]


def test_a_distribution_earlier_on_the_path_hides_a_later_one_of_the_same_name(tmp_path: Path):
    install(tmp_path / "first", "my_plugin", {}, {"new": "my_plugin"})
    install(tmp_path / "second", "My_Plugin", {}, {"old": "my_plugin"})

    found = find_entry_points([str(tmp_path / "first"), str(tmp_path / "second")])

    assert [e.name for e in found] == ["new"]


def test_one_folder_named_twice_on_the_path_is_read_once(tmp_path: Path):
    install(tmp_path, "my_plugin", {})

    assert len(find_entry_points([str(tmp_path), str(tmp_path / "."), str(tmp_path)])) == 1


def test_folders_that_do_not_exist_and_distributions_without_our_group_are_passed_over(tmp_path: Path):
    (tmp_path / "other-1.dist-info").mkdir()
    (tmp_path / "other-1.dist-info" / "entry_points.txt").write_text("[pytest11]\na = b\n")
    (tmp_path / "bare-1.dist-info").mkdir()

    assert find_entry_points([str(tmp_path), str(tmp_path / "nowhere")]) == []


def test_the_scan_finds_what_importlib_metadata_finds():
    from importlib.metadata import entry_points

    ours = {(e.name, e.value) for e in find_entry_points()}

    assert ours == {(e.name, e.value) for e in entry_points(group="mlcvbench")}
