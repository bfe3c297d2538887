"""Which is stronger, a linear network of two layers or a decision tree of depth 2?

Setting: 400 points of a square in four patterns, and three tables, 70 % to train on; linear networks with 8 hidden
units, full-batch Adam at 0.03, not tuned, 600 steps; scikit-learn's trees of depth 2. 64 draws or splits.
Command: `python -m experiments run linear_or_tree`; about 20 s on 2 CPU cores.
Seen: neither. Lines win where classes are divided by a slanted line, cuts where they are divided along the axes. XOR
needs two cuts, but greedy growth does not find them among points that fill a square: the first gains nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

import dlcore as dl
from dlcore.evidence import Claim, Evidence, Experiment, Interval, Outcome, Picture, Scale, SubClaim, Verdict
from dlcore.plots.style import BLUE, ORANGE

PLANE = {  # of points [N, 2] of the square from -1 to 1: which are of the second class
    "XOR, 4 corners": lambda x: x[:, 0] * x[:, 1] < 0,
    "XOR, whole square": lambda x: x[:, 0] * x[:, 1] < 0,
    "diagonal": lambda x: x[:, 0] + x[:, 1] > 0,
    "one quadrant": lambda x: (x[:, 0] > 0) & (x[:, 1] > 0),
}
TABLES = {"breast cancer": datasets.load_breast_cancer, "wine": datasets.load_wine, "iris": datasets.load_iris}
TABLES_OF, SEEDS = {"quick": ["wine"], "default": list(TABLES)}, {"quick": 6, "default": 64}
EXAMPLES, NEW_EXAMPLES, STEPS, RATE, HIDDEN = 400, 2000, 600, 0.03, 8  # of the square; full-batch Adam
TEST_SHARE, SETTLED = 0.3, 0.01  # of a table; share right that may change in the second half of the steps
UNDECIDED = 0.02  # logits closer together than this are a guess, right half of the time
MATTERS, SOLVED = 0.01, 0.95  # differences of shares that matter, one in a hundred; what has learned XOR
DESIGN = {"runs": SEEDS, "tables": TABLES_OF, "examples": EXAMPLES, "steps": STEPS, "rate": RATE, "units": HIDDEN}
LABELS = {"net": "network", "tree": "grown tree", "best_line": "best line", "best_tree": "best tree"}
RIGHT, MORE = "share right, of new examples", "share right, less that of the tree"
CLAIMS = (
    Claim("net is stronger", "A linear network of two layers is stronger than a decision tree of depth 2.", (
        SubClaim("trained", "It is right more often on new examples.", MORE, dl.evidence.above(MATTERS)),
        SubClaim("at best", "The best line parts more examples than the best tree.", MORE, dl.evidence.above(MATTERS)),
    )),
    Claim("tree learns XOR", "A decision tree of depth 2 learns XOR.", (
        SubClaim("there is one", "The best tree is right.", "share right, of its examples", dl.evidence.above(SOLVED)),
        SubClaim("it is found", "The tree that grows greedily is right.", RIGHT, dl.evidence.above(SOLVED)),
    )),
)  # fmt: skip


def sample(problem: str, seed: int) -> list[np.ndarray]:
    """Inputs and classes to train on, and new ones: of the square, or 70 % and 30 % of a table, standardized."""
    if problem in PLANE:
        points = np.random.default_rng(seed).uniform(-1, 1, (EXAMPLES + NEW_EXAMPLES, 2))
        points = np.tile([[-1, -1], [-1, 1], [1, -1], [1, 1]], (len(points) // 4, 1)) if "4" in problem else points
        classes = PLANE[problem](points).astype(int)
        return [points[:EXAMPLES], classes[:EXAMPLES], points[EXAMPLES:], classes[EXAMPLES:]]
    inputs, classes = TABLES[problem](return_X_y=True)
    how = {"test_size": TEST_SHARE, "stratify": classes, "random_state": seed}
    old, new, old_classes, new_classes = map(np.asarray, train_test_split(inputs, classes, **how))
    return [(old - old.mean(0)) / old.std(0), old_classes, (new - old.mean(0)) / old.std(0), new_classes]


def share_right(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Of examples whose class has the largest logit; a guess counts one half."""
    own = jax.nn.one_hot(classes, logits.shape[1]) > 0
    ahead = jnp.where(own, logits, -jnp.inf).max(1) - jnp.where(own, -jnp.inf, logits).max(1)
    return jnp.where(jnp.abs(ahead) < UNDECIDED, 0.5, ahead > 0).mean()


def compared(scale: Scale, problems: list[str]) -> xr.Dataset:
    """Share right of networks (halfway too) and grown trees, and the best there are; dims (problem, seed)."""
    seeds = scale.seeds(scale.of(SEEDS))
    samples = [[sample(problem, int(seed)) for seed in seeds] for problem in problems]
    stacks = [np.array([[parts[i] for parts in of] for of in samples]) for i in range(4)]
    widths = [stacks[0].shape[-1], HIDDEN, int(stacks[1].max()) + 1]

    def fit(problem, seed):
        """What linear networks of two layers get right."""
        old, old_classes, new, new_classes = (jnp.asarray(stack)[problem, seed - seeds[0]] for stack in stacks)
        data = dl.data.Dataset(dl.data.Split(old, old_classes), test=dl.data.Split(new, new_classes))
        task = dl.tasks.classification(dl.models.deep_linear(widths), data, metrics={"right": share_right})
        how: dict = {"batch_size": "full", "num_steps": STEPS, "record_every": STEPS // 2}
        return dl.training(jax.random.key(seed), task, optax.adam(RATE), **how)

    runs = dl.sweep(fit, problem=np.arange(len(problems)), seed=seeds, store=scale.store(problems[0].replace(" ", "_")))
    scores = {"tree": grown, "best_line": dl.textbook.best_line, "best_tree": dl.textbook.best_tree}
    used = {"tree": 4, "best_line": 2, "best_tree": 2} if problems == list(PLANE) else {"tree": 4}  # parts of a sample
    found = {name: [[scores[name](*parts[:n]) for parts in of] for of in samples] for name, n in used.items()}
    found |= {"net": runs.test_right.values[..., -1], "halfway": runs.test_right.values[..., -2]}
    return xr.Dataset({name: (("problem", "seed"), values) for name, values in found.items()}, {"problem": problems})


def grown(inputs, classes, new, new_classes) -> float:
    """Share right of new examples, of a tree that is grown greedily."""
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(inputs, classes).score(new, new_classes)


def measure(scale: Scale) -> dict[str, xr.Dataset]:
    """The square and the tables, one after the other; there is no best line or tree of a table."""
    groups = [list(PLANE), *([name] for name in scale.of(TABLES_OF))]
    return {"shares": xr.concat([compared(scale, problems) for problems in groups], "problem")}


def of_runs(problem: str, values: np.ndarray, moved: float = 0.0) -> Interval:
    """Mean over seeds [n]; exact of the four corners, where all are equal. moved: since half of the training."""
    if not moved <= SETTLED:
        return dl.evidence.undetermined("the networks still change", len(values))
    same = "corners" in problem and np.ptp(values) == 0
    apart = dl.evidence.exact(values[0]) if same else dl.evidence.mean_interval(values)
    return dl.evidence.resampled_interval(values, TEST_SHARE) if problem in TABLES else apart


def judge(measured) -> list[Verdict]:
    """Both verdicts."""
    found: dict[str, list[Evidence]] = {part.name: [] for claim in CLAIMS for part in claim.parts}
    for problem in map(str, measured["shares"].problem.values):
        runs = {str(key): values.values for key, values in measured["shares"].sel(problem=problem).items()}
        moved = abs(np.mean(runs["net"] - runs["halfway"]))
        found["trained"].append(Evidence(problem, of_runs(problem, runs["net"] - runs["tree"], moved)))
        if problem in PLANE:
            found["at best"].append(Evidence(problem, of_runs(problem, runs["best_line"] - runs["best_tree"])))
        if "XOR" in problem:
            found["there is one"].append(Evidence(problem, of_runs(problem, runs["best_tree"])))
            found["it is found"].append(Evidence(problem, of_runs(problem, runs["tree"])))
    return [Verdict(claim, {part.name: found[part.name] for part in claim.parts}) for claim in CLAIMS]


def draw(measured) -> list[Picture]:
    """Share right by problem."""
    shares, figure = measured["shares"].mean("seed"), Figure(figsize=(8, 4), layout="constrained")
    ax, rows = figure.subplots(), range(shares.sizes["problem"])
    for key, marker in {"net": "o", "tree": "^", "best_line": "s", "best_tree": "D"}.items():
        color = ORANGE if "tree" in key else BLUE
        ax.plot(shares[key], rows, marker, color=color, mfc="none" if "best" in key else color, ms=9, label=LABELS[key])
    ax.set(xlabel="share of examples that are right", yticks=rows, yticklabels=shares.problem.values)
    ax.invert_yaxis()
    figure.legend(loc="outside right upper", frameon=False)
    caption = "Means over seeds. Filled: trained or grown, of new examples. Open: the best there is, of its own ones."
    return [Picture("linear_or_tree", caption, figure)]


ANSWERS = {
    "net is stronger": {Outcome.CONDITIONAL: "Neither is stronger: a line wins where the classes lie on two sides of a "
                        "slanted line, two cuts win where the axes part them; try both."},
    "tree learns XOR": {Outcome.CONDITIONAL: "Two levels of cuts are enough for XOR, but a tree that grows greedily "
                        "seldom finds them when points fill the square: no first cut gains anything."},
}  # fmt: skip
HISTORY = dl.evidence.piloted("2026-11-26", "Corrected intervals of splits of a table (Nadeau, Bengio 2003).")
EXPERIMENT = Experiment((__doc__ or "").splitlines()[0], CLAIMS, DESIGN, measure, judge, draw, ANSWERS, HISTORY)
