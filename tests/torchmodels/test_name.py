import pytest

from quantlab.errors import ModelError
from quantlab.torchmodels.name import torch_name


@pytest.mark.parametrize(
    "text", ["digits", "net.onnx", "a/b.onnx", "C:/nets/net.onnx", "torchvision", "keras:resnet", ""]
)
def test_what_is_no_torch_name_is_none(text):
    assert torch_name(text) is None


@pytest.mark.parametrize(
    ("text", "origin", "name", "options"),
    [
        ("torchvision:resnet50", "torchvision", "resnet50", {}),
        ("timm:convnext_tiny.fb_in22k", "timm", "convnext_tiny.fb_in22k", {}),
        ("timm: resnet18 , num_classes = 10", "timm", "resnet18", {"num_classes": 10}),
        ("transformers:owner/name", "transformers", "owner/name", {}),
        ("nets/mine.py:make", "python", "nets/mine.py:make", {}),
        (
            "transformers:swin,depths=[2, 2],num_heads=[3,6],drop=0.5,qkv_bias=false,x=none,head=SwinModel,flag=True",
            "transformers",
            "swin",
            {"depths": [2, 2], "num_heads": [3, 6], "drop": 0.5, "qkv_bias": False, "x": None}
            | {"head": "SwinModel", "flag": True},
        ),
        ("transformers:x,size={'a': 1, 'b': 2}", "transformers", "x", {"size": {"a": 1, "b": 2}}),
    ],
)
def test_a_name_comes_apart_into_origin_name_and_settings(text, origin, name, options):
    found = torch_name(text)
    assert found is not None
    assert (found.origin, found.name, found.options, found.text) == (origin, name, options, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("timm:", "nothing is named behind the colon"),
        ("torchvision: ,a=1", "nothing is named behind the colon"),
        ("transformers:swin,depths", "'depths' is not KEY=VALUE"),
        ("transformers:swin,depths=", "'depths=' is not KEY=VALUE"),
        ("transformers:swin,a-b=1", "is not KEY=VALUE"),
        ("transformers:swin,a=1,a=2", "'a' is given twice"),
    ],
)
def test_half_a_name_is_refused_with_how_to_write_it(text, complaint):
    with pytest.raises(ModelError, match=complaint) as caught:
        torch_name(text)
    assert text in str(caught.value)


def test_a_setting_runs_nothing():
    found = torch_name("timm:a,b=__import__('os').getcwd()")
    assert found is not None
    assert found.options == {"b": "__import__('os').getcwd()"}
