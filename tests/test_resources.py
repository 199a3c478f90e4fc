from __future__ import annotations

import pytest

from forecast.errors import ConfigError
from forecast.resources import datasets_dir, find


def test_the_shipped_data_sets_are_found():
    assert (datasets_dir() / "airpassengers.csv").is_file()


def test_a_folder_inside_the_package_wins_over_one_beside_it(tmp_path):
    package = tmp_path / "forecast"
    for folder in (package / "conf", tmp_path / "conf"):
        folder.mkdir(parents=True)
        (folder / "fit.yaml").touch()
    assert find("conf", "*.yaml", package) == package / "conf"
    (package / "conf" / "fit.yaml").unlink()
    assert find("conf", "*.yaml", package) == tmp_path / "conf"


def test_a_strangers_folder_in_site_packages_is_not_taken_for_ours(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    with pytest.raises(ConfigError, match="incomplete"):
        find("datasets", "airpassengers.yaml", tmp_path / "forecast")
