"""Flask-Caching beside this package: both own the import name, and importing says so."""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import flask_caching
import pytest
from flask_caching import _conflict, standin

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the check takes for the one it is installed in."""
    package = tmp_path / "flask_caching"
    package.mkdir()
    monkeypatch.setattr(_conflict, "__file__", str(package / "_conflict.py"))
    return tmp_path


@pytest.mark.parametrize(
    "metadata",
    [
        "flask_caching-2.5.1.dist-info",
        "Flask_Caching-1.10.1.dist-info",
        "Flask_Caching-1.3.3-py3.11.egg-info",
    ],
)
def test_flask_caching_in_the_same_folder_is_named_with_the_way_out(
    site_packages: Path, metadata: str
) -> None:
    (site_packages / metadata).mkdir()
    version = metadata.split("-")[1].removesuffix(".dist")
    with pytest.warns(RuntimeWarning, match="pip uninstall -y Flask-Caching") as caught:
        _conflict.check()
    assert f"Flask-Caching {version} are both installed" in str(caught[0].message)


@pytest.mark.parametrize(
    "metadata",
    [
        "flask_caching_rs-0.1.0.dist-info",
        "flask_caching-2.5.1+rs.dist-info",
        "flask_caching_extras-1.0.dist-info",
        "flask-3.1.3.dist-info",
    ],
)
def test_other_distributions_are_no_conflict(site_packages: Path, metadata: str) -> None:
    (site_packages / metadata).mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _conflict.check()


def test_a_package_without_a_folder_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conflict, "__file__", "/nowhere/site.zip/flask_caching/_conflict.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _conflict.check()


def test_their_init_over_ours_is_refused(tmp_path: Path) -> None:
    """What an install of Flask-Caching after ours leaves behind: its modules, and our leftovers."""
    ours = Path(flask_caching.__file__).parent
    package = tmp_path / "flask_caching"
    (package / "signals").mkdir(parents=True)
    (package / "_conflict.py").write_text((ours / "_conflict.py").read_text())
    (package / "signals/__init__.py").write_text((ours / "signals/__init__.py").read_text())
    (package / "__init__.py").write_text("from .signals import cache_view_hit\n")
    (package / "signals.py").write_text("cache_view_hit = None\n")

    result = subprocess.run(
        [sys.executable, "-c", "import flask_caching"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert "ImportError: Flask-Caching was installed over flask-caching-rs" in result.stderr
    assert "pip install --force-reinstall --no-deps flask-caching-rs" in result.stderr


def test_the_stand_in_satisfies_a_requirement_and_brings_no_files(tmp_path: Path) -> None:
    wheel = standin.write(tmp_path / "vendor")
    target = tmp_path / "site"
    subprocess.run(
        [*PIP, "install", "--no-index", "--no-deps", "--target", target, wheel],
        check=True,
    )

    assert [entry.name for entry in target.iterdir()] == ["flask_caching-2.5.1+rs.dist-info"]
    script = (
        "from importlib.metadata import distribution as d; f = d('Flask-Caching');"
        "print(f.version, f.requires, [str(file) for file in f.files])"
    )
    printed = subprocess.check_output([sys.executable, "-c", script], cwd=target, text=True)
    assert printed.startswith("2.5.1+rs ['flask-caching-rs'] ")


def test_the_stand_in_is_the_same_on_every_run(tmp_path: Path) -> None:
    assert standin.write(tmp_path / "a").read_bytes() == standin.write(tmp_path / "b").read_bytes()


def test_the_command_line_takes_version_and_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.main(["--version", "2.3.1", "--output", str(tmp_path)])
    wheel = Path(capsys.readouterr().out.strip())
    assert wheel == tmp_path / "flask_caching-2.3.1+rs-py3-none-any.whl"
    assert zipfile.ZipFile(wheel).testzip() is None


def test_a_version_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        standin.main(["--version", "newest"])
    assert "a release such as 2.5.1" in capsys.readouterr().err
