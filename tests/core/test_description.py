"""What models, tasks and trainings print about themselves."""

import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts
import small

import dlcore as dl
from dlcore.core.task import Task


def test_models():
    """Catches counts of something else, state or parts left out, a description that computes what it describes."""
    model = dl.models.mlp([4, 5, 3], normalization="batch")
    assert repr(model) == (
        "Model: 53 parameters (float32)\n"
        "  params: layers.0.bias [5], layers.0.kernel [4, 5], layers.1.bias [3], layers.1.kernel [5, 3], and 2 more\n"
        "  state: norms.0.mean [5], norms.0.var [5]"
    )
    assert "parts: encode, decode" in repr(dl.models.autoencoder([4, 2]))
    huge = dl.Model(lambda key: ({"w": jax.random.normal(key, (10**6, 10**6))}, {}), lambda *_, **__: None)
    assert repr(huge).startswith("Model: 1 000 000 000 000 parameters (float32)\n")
    assert repr(huge._replace(init=lambda key: ({"w": jnp.zeros(())}, {}))).startswith("Model: 1 parameter (float32)\n")


def test_tasks():
    """Catches a task that says nothing of its data or its metrics."""
    assert repr(small.CLASSIFICATION) == (
        "Task: a model of 43 parameters (float32) on points\n"
        "  params: layers.0.bias [5], layers.0.kernel [4, 5], layers.1.bias [3], layers.1.kernel [5, 3]\n"
        "  data: points, train 24, test 8; inputs float32[N, 4], targets int32[N]\n"
        "  reports: loss, accuracy"
    )


def test_trainings():
    """Catches a length in other units, a record at step 0 that there is not, and records left out."""
    assert repr(small.fit(0)) == (
        "Training: 3 records and the one at step 0, 12 steps\n"
        "  recorded at: step 0 to 12, epoch 0 to 3, examples 0 to 72\n"
        "  records: batch_loss, finite, train_loss, test_loss, test_accuracy, train_accuracy"
    )
    bare = dl.Training(lambda: 1.0, lambda x: (x / 2, {"x": x}), 3)
    assert repr(bare) == (
        "Training: 3 records\n  recorded at: step 1 to 3\n  records: what its function advance returns"
    )
    timed = bare._replace(measure=lambda x: {"x": jnp.full(2, x)}, coordinates={"time": np.linspace(0, 0.5, 4)})
    assert repr(timed) == ("Training: 3 records and the one at step 0\n  recorded at: time 0 to 0.5\n  records: x [2]")


@pytest.mark.parametrize(
    ("thing", "first"),
    [
        (dl.Model(lambda key: 1 / 0, None), "Model: its init fails, ZeroDivisionError: division by zero"),  # pyright: ignore
        (dl.Model(lambda key: {}, None), "Model: its init fails, TypeError: it gives a dict, not the pair"),  # pyright: ignore
        (dl.Model(None, None, 3), "Model: its init fails, "),  # pyright: ignore
        (Task(1, 2, 3, 4), "Task: unknown, AttributeError"),  # pyright: ignore
        (small.CLASSIFICATION._replace(report=None), "Task: a model of 43 parameters (float32) on points"),
        (dl.Training(None, None, "many", 4, 5, 6), "Training: 'many' records"),  # pyright: ignore
        (dl.Model(None, None, np.ones(2)), "Model: its init fails, "),  # pyright: ignore
        (dl.Training(None, None, np.ones(2)), "Training: unknown, ValueError"),  # pyright: ignore
    ],
    ids=["raises", "no_pair", "no_model", "no_task", "no_report", "no_training", "no_parts", "no_number"],
)
def test_what_is_broken_still_prints(thing, first):
    """Catches a message about a broken thing that is itself an error, or as long as a traceback."""
    assert repr(thing).splitlines()[0].startswith(first)
    assert len(repr(thing).splitlines()) < 10
    assert thing._repr_html_().startswith("<div><b>")


def test_tracers_print():
    """Catches a `print` inside the function of a sweep that ends it."""
    texts = []

    def fit(seed, learning_rate):
        training = small.fit(seed, learning_rate)
        texts.append(repr(training))
        return training.init()

    jax.eval_shape(fit, 0, 0.1)
    assert texts == [repr(small.fit(0))]


def test_html_is_escaped_and_says_the_same():
    """Catches a name that becomes markup, and a table that lacks rows of the text."""
    data = dl.data.from_arrays(np.eye(4), np.array([0, 1, 1, 0]), name="<script>")
    task = dl.tasks.classification(dl.models.linear(4, 2), data)
    for thing in (data, task, task.model, small.fit(0)):
        page = thing._repr_html_()
        assert "<script>" not in page
        assert page.count("<tr>") + page.count("<br>") == len(repr(thing).splitlines()) - 1
    assert "&lt;script&gt;" in data._repr_html_()


def test_errors_show_one_line():
    """Catches messages that carry a whole description."""
    with pytest.raises(dl.ArgumentError, match=r"^run: training is Model: 43 parameters \(float32\); expects a Train"):
        dl.run(small.MODEL)  # pyright: ignore


def test_printing_starts_nothing():
    """Catches a description that starts JAX: `dl.setup` would come too late after it."""
    script = """
        import dlcore as dl
        print(dl.tasks.classification(dl.models.mlp([4, 3]), dl.data.iris()))
        dl.setup(num_devices=3, cache=False)
    """
    done = subprocess.run(**scripts.script_of(script), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Task: a model of 15 parameters")
