"""What `quantlab` offers is what `__all__` says, and no submodule takes a function's name."""

import pkgutil
import subprocess
import sys

import pytest

import quantlab


def test_no_submodule_has_the_name_of_a_public_function():
    # Importing quantlab.x sets the attribute x of the package: a function of that name would vanish.
    submodules = {module.name for module in pkgutil.iter_modules(quantlab.__path__)}
    assert not submodules & set(quantlab.__all__)


@pytest.mark.parametrize("name", quantlab.__all__)
def test_every_public_name_can_be_imported_alone(name):
    code = f"import quantlab; print(callable(quantlab.{name}), {name!r} in dir(quantlab))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = quantlab.nothing
