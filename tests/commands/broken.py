"""Files that are not as they should be, by what is wrong with them."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
from PIL import Image

from quantlab.graph.model import Model
from quantlab.graph.save import save, to_bytes
from tests.models import model_from_text, noise, two_convs
from tests.runs import CLASSES, classifier, images, labels

HEADER = '<ir_version: 10, opset_import: ["": 18, "com.acme": 1]>'
DATA_FILE = """
import numpy as np

SIZE = 3


def raises():
    raise KeyError("boom")


def gives_nothing():
    return None


def one_class():
    return np.zeros((4, 3, 8, 8), np.float32), np.zeros(4, np.int64)
"""


def write_models(folder: Path) -> None:
    """Write models that are damaged, empty, unknown to the engine, or of other types than float32."""
    whole = to_bytes(classifier())
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "corrupt.onnx").write_bytes(b"no protobuf at all" * 50)
    (folder / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    texts = {
        "no_inputs": "g () => (float[2] y) { y = Constant <value_floats = [1.0, 2.0]> () }",
        "no_outputs": "g (float[N, 4] x) => () { y = Relu (x) }",
        "custom": "g (float[N, 4] x) => (float[N, 4] y) { [strange] y = com.acme.Twist (x) }",
        "misspelt": "g (float[N, 4] x) => (float[N, 4] y) { [strange] y = Reluu (x) }",
        "texts": "g (string[N, 4] x) => (string[N, 4] y) { y = Identity (x) }",
        "sequence": "g (float[N, 4] x) => (seq(float[N, 4]) y) { y = SequenceConstruct (x) }",
        "dead_end": "g (float[N, 4] x) => (float[N, 4] y) { y = Add (x, nowhere) }",
    }
    for name, text in texts.items():
        ir.save(ir.from_onnx_text(f"{HEADER} {text}"), folder / f"{name}.onnx")
    _save_changed(classifier(), folder / "future_opset.onnx", opset=99)
    _save_changed(classifier(), folder / "future_format.onnx", ir_version=99)
    save(_with_nan(classifier()), folder / "nan_weight.onnx")
    save(two_convs(32), folder / "map.onnx")
    save(two_inputs(), folder / "two_inputs.onnx")
    save(fixed_batch(), folder / "fixed_batch.onnx")


def write_data(folder: Path) -> None:
    """Write samples that are damaged, empty, misnamed, mislabelled, or of another shape or type."""
    whole, answers = images(), labels()
    changed = whole.copy()
    changed[3, 0, 0, 0] = np.nan
    np.save(folder / "nan.npy", changed)
    np.save(folder / "no_samples.npy", whole[:0])
    np.save(folder / "channels.npy", whole[:, :1])
    np.save(folder / "last.npy", whole.transpose(0, 2, 3, 1))
    np.save(folder / "alone.npy", whole[0])
    np.save(folder / "texts.npy", np.full(whole.shape, "a"))
    np.save(folder / "pickled.npy", np.array([{"a": 1}], dtype=object))
    (folder / "damaged.npy").write_bytes(b"garbage" * 9)
    np.savez(folder / "wrong_key.npz", pictures=whole, masks=whole)
    np.savez(folder / "few_labels.npz", image=whole, y=answers[:5])
    np.savez(folder / "one_hot.npz", image=whole, y=np.eye(CLASSES)[answers])
    np.savez(folder / "half_labels.npz", image=whole, y=answers + 0.5)
    np.savez(folder / "strange_labels.npz", image=whole, y=answers + 100)
    archive = (folder / "few_labels.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(archive[: len(archive) // 2])
    (folder / "data.py").write_text(DATA_FILE)
    (folder / "no_images").mkdir()
    (folder / "bad_image" / "cat").mkdir(parents=True)
    (folder / "bad_image" / "cat" / "0.jpg").write_bytes(b"no image")
    (folder / "one_class" / "cat").mkdir(parents=True)
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "one_class" / "cat" / f"{number}.png")


def two_inputs() -> Model:
    """Return a model of an image and a vector."""
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    two_inputs (float[batch, 3, 8, 8] image, float[batch, 4] meta, float[32, 3, 3, 3] w) => (float[batch, 36] y)
    {
        [conv] maps = Conv (image, w)
        [pool] pooled = GlobalAveragePool (maps)
        [flatten] flat = Flatten (pooled)
        [join] y = Concat <axis: int = 1> (flat, meta)
    }
    """
    return model_from_text(text, {"w": noise(32, 3, 3, 3)})


def fixed_batch() -> Model:
    """Return a model that takes four images at a time, no more and no fewer."""
    text = """
    <ir_version: 10, opset_import: ["": 18]>
    fixed_batch (float[4, 3, 8, 8] image, float[32, 3, 3, 3] w) => (float[4, 32, 6, 6] y)
    { [conv] y = Conv (image, w) }
    """
    return model_from_text(text, {"w": noise(32, 3, 3, 3)})


def _with_nan(model: Model) -> Model:
    weight = model.constant("w2").copy()
    weight[0, 0, 0, 0] = np.nan
    model.graph.initializers["w2"].const_value = ir.tensor(weight)
    return model


def _save_changed(model: Model, path: Path, *, opset: int | None = None, ir_version: int | None = None) -> None:
    if opset is not None:
        model.ir_model.opset_imports[""] = opset
    if ir_version is not None:
        model.ir_model.ir_version = ir_version
    path.write_bytes(ir.to_proto(model.ir_model).SerializeToString())
