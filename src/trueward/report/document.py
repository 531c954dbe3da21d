"""The audit document: the one thing that the terminal table, the JSON file and the HTML report are made from.

A document is plain JSON. `SCHEMA_VERSION` is raised when a field changes its meaning or disappears; new fields may
appear within a version. The published JSON Schema lies beside this file as `audit.schema.json`.
"""

from __future__ import annotations

from typing import Literal, TypedDict

SCHEMA_VERSION = 1
FOUND_BY_SEARCH = "search"  # family of what a search found

Modality = Literal["text", "control", "images"]
Relation = Literal["wrong", "unearned", "right", "no_gain", "same", "returns"]
FindingKind = Literal["exploit", "cheap", "gain", "refusal", "failure"]


class _Told(TypedDict, total=False):
    """What a record is about; what does not say so is about text.

    In an audit of a reward of control a prompt is a start state of an environment, a completion an episode, the right
    answer that of the competent policy (the best one by gold), and no answer stands for policies that know nothing. In
    one of images prompts are counted in images, a completion says how an image was made, and the reference names the
    one that it was made from.
    """

    modality: Modality


class Example(_Told):
    """One probe with what the reward did with it. Completions are raw: whoever renders them escapes them."""

    id: str  # stable id of the probe (row, family, derivation)
    scorer: str  # the reward, as `Audit.reward` names it
    row: str  # stable id of the row
    family: str
    variant: str
    relation: str
    prompt: str
    reference: str | None
    completion: str
    reward: float | None  # None unless status is "ok"
    status: str
    detail: str
    payoff: float | None  # u = (r - r0) / (r+ - r0); None where it has no meaning
    right_reward: float | None  # r+ of the row
    null_reward: float | None  # r0 of the row
    base_reward: float | None  # for no_gain and same: what the completion it is held against earned
    why: str  # one sentence: why this should not be paid (or should be)
    derivation: list[str]  # how the completion was made, one step a line; [] for a completion out of a log


class Finding(_Told):
    """Something that makes the audit exit with 1."""

    kind: FindingKind
    family: str
    variant: str
    title: str  # one line that needs no docs: "pays 'A or B' as if it were the answer"
    prompts: int  # prompts on which it was seen
    tested: int  # prompts on which it was tested
    share: float  # prompts / tested
    low: float  # 95 % interval of the share (or of the mean payoff for cheap tricks), by prompt
    high: float
    mean_payoff: float | None
    examples: list[Example]  # smallest first
    hits: list[str]  # ids of all probes that it was seen on, not only of the examples


class Note(TypedDict):
    """Something worth knowing that does not change the exit code."""

    title: str
    detail: str
    examples: list[Example]


class FamilyRow(TypedDict):
    """What one family of probes earned."""

    family: str
    description: str
    relation: str
    tested: int  # prompts with at least one probe of this family
    probes: int
    not_tested: str  # why there is none; "" when tested
    full: int  # prompts whose best-paid probe has u >= .99
    partial: int  # prompts whose best-paid probe has .5 <= u < .99
    mean_payoff: float | None  # over prompts, of the best-paid probe
    low: float | None
    high: float | None


class Latency(TypedDict):
    """Seconds per call."""

    median: float
    p99: float
    worst: float
    worst_completion: str  # the beginning of the slowest completion


class Search(TypedDict):
    """What a search for exploits did."""

    budget: int  # calls of the reward that it might make
    calls: int  # calls that it made
    candidates: int  # certified completions that it asked about
    discarded: int  # completions that no certificate calls wrong: never asked about
    causes: int  # different causes among its finds


class RolloutStep(TypedDict):
    """Logged completions of one training step."""

    step: int
    completions: int
    paid: int  # earned at least half of what the right answer earns
    exploits: int  # paid, and certified wrong
    share: float | None  # exploits / paid; None where nothing was paid
    low: float  # 95 % interval of the share
    high: float
    mean_reward: float | None


class RolloutLog(TypedDict):
    """Completions of a training run that the reward has already paid."""

    source: str
    format: str  # "TRL completions", "verl rollouts", "trueward rollouts"
    completions: int
    unmatched: int  # no reference answer was found for them
    paid: int
    wrong: int  # of the paid ones: certified wrong
    right: int
    unknown: int
    first_step: int | None  # first step with an exploit
    steps: list[RolloutStep]
    families: dict[str, int]  # exploits by what is wrong with them
    examples: list[Example]


class Curve(TypedDict):
    """Expected proxy and gold under best-of-n; lists run over n."""

    source: str
    proxy: str  # name of the column
    gold: str
    prompts: int
    samples: int  # of each prompt
    n: list[int]
    kl: list[float]  # log n - (n - 1) / n, in nats
    proxy_mean: list[float]
    proxy_low: list[float]  # 95 % interval, prompts resampled
    proxy_high: list[float]
    gold_mean: list[float]
    gold_low: list[float]
    gold_high: list[float]
    pass_at_k: list[float] | None  # where gold is 0 or 1
    peak: int  # the n at which gold is highest
    notices: list[str]


class Comparison(TypedDict):
    """This audit against an earlier one."""

    baseline: str  # file
    known: bool  # whether the earlier document holds this reward; where it does not, everything counts as new
    new: list[str]  # ids of probes that count now and did not then
    gone: list[str]  # ids that counted then and do not now
    regressions: list[str]  # titles of the findings that hold a new id


class ControlCurve(TypedDict):
    """What one training run earned; lists run over its updates, null where no episode ended."""

    trained_on: Literal["reward", "gold"]
    seed: int
    steps: list[int]  # of the environment
    reward: list[float | None]  # mean plain return of the episodes that ended
    gold: list[float | None]


class ControlRun(TypedDict):
    """How a reward of control was audited, and what a short optimisation did to gold."""

    environment: str
    gold: str | None  # name of what is really wanted; null where nobody said
    policies: int  # that were played
    steps: int  # of the environment, played and scored
    training_steps: int  # of each training run; 0 where nothing was trained
    seeds: int
    discount: float
    gap: float | None  # mean over seeds: gold of the policy trained on gold minus that of the one trained on the reward
    gap_low: float | None  # 95 % interval
    gap_high: float | None
    curves: list[ControlCurve]


class ImageChange(TypedDict):
    """What one change of images did to the reward; gains are in spreads of the reward."""

    family: str
    variant: str
    relation: str  # no_gain: must not raise the reward; wrong: must not be paid like the image
    state: Literal["found", "fine", "not tested"]
    not_tested: str  # why; "" when tested
    tested: int  # images that it changed and that have a score
    failed: int  # images that it changed and that have none
    raised: int  # images whose reward rose by more than the room that is left
    beyond: int  # images that earn more than the best one as it is
    gain: float | None  # mean over images of (reward - reward of the image as it is) / spread
    low: float | None  # interval; those of an audit hold together at 95 %
    high: float | None
    holdout: float | None  # the same by the other scorer, in its spreads
    holdout_low: float | None
    holdout_high: float | None


class ImageTrait(TypedDict):
    """A property of images beside the reward."""

    name: str
    correlation: float | None  # of its ranks with the reward's
    top: float  # mean over the best-paid images
    all: float  # mean over all


class ImageLedger(TypedDict):
    """What the best-paid images look like."""

    top: int  # how many
    diversity: float | None  # their mean distance from each other, as a share of that of all images
    low: float | None  # between which that share lies for 95 % of random draws of as many
    high: float | None
    prompts: int  # distinct prompts among them
    traits: list[ImageTrait]
    best_of_all: dict[str, int]  # of the best-paid tenth of all that was scored: images as they are, and by family


class ImageHoldout(TypedDict):
    """The reward against another scorer."""

    name: str
    rank: float | None  # correlation of ranks over the images as they are
    rank_all: float | None  # over these and all that was made of them
    corrected: float | None  # mean corrected score of the images as they are
    apart: list[str]  # changes that surely raise the reward and surely lower the other scorer


class ImageGrowth(TypedDict):
    """The best-paid images changed step by step, whatever raises the reward kept; lists run over the noted rounds."""

    images: int
    scored: int
    rounds: list[int]
    beyond: list[float | None]  # mean of (reward - mean reward of these images as they are) / spread
    far: int  # images that end far above the mean of them as they are
    holdout: list[float | None]  # gain by the other scorer, in its spreads; [] without one
    corrected: list[float | None]  # mean corrected score; [] where it cannot be said
    boundary: int | None  # round from which the reward rises while the corrected score falls


class ImageClimb(TypedDict):
    """What a search for chains of changes found."""

    budget: int  # images that might be scored
    scored: int
    tried: int  # chains
    pool: int  # images that the chain was found on
    rest: int  # images that it was measured on
    steps: list[str]
    gain: list[float | None]  # mean after each step, in spreads; the images as they are come first


class ImageSheet(TypedDict):
    """A contact sheet: images as they are above, what was made of them below."""

    title: str
    about: str  # what stands above and below
    png: str  # base64


class ImageRun(TypedDict):
    """How a reward of images was audited."""

    source: str  # folder
    images: int
    prompts: int  # distinct ones; 0 where there are none
    sizes: str  # "8 × 8", "from 64 × 64 to 512 × 384"
    mean: float | None  # reward of the images as they are
    best: float | None
    spread: float | None  # what gains are measured in
    spread_said: str  # how it was found
    room: float  # spreads by which a change may raise the reward without being a finding
    loss: float  # spreads that the reward must surely take away from what is not worth anything
    changes: list[ImageChange]
    ledger: ImageLedger | None
    holdout: ImageHoldout | None
    growth: ImageGrowth | None
    climb: ImageClimb | None
    sheets: list[ImageSheet]


class _OwnPart(_Told, total=False):
    """What only audits of rewards of control, or of images, have."""

    control: ControlRun
    images: ImageRun


class Audit(_OwnPart):
    """The audit of one reward."""

    reward: str  # address or name
    verdict: Literal["clean", "findings", "not audited"]
    headline: str  # "best cheap trick earns .83 of a right answer on 92 % of prompts"
    reads_answer: bool
    header: list[str]  # assumptions and notices, most important first
    envelope: str  # envelope that was calibrated, e.g. "boxed, chat messages"
    auc: float | None
    prompts: int
    usable: int  # prompts whose right answer earns more than a null answer
    calls: int
    seconds: float
    deterministic: bool | None
    statuses: dict[str, int]
    latency: Latency | None
    families: list[FamilyRow]
    findings: list[Finding]
    notes: list[Note]
    search: Search | None
    rollouts: RolloutLog | None
    comparison: Comparison | None
    error: str  # why there is no verdict; "" otherwise


class Document(TypedDict):
    """What `--json` writes."""

    schema: Literal["trueward-audit"]
    schema_version: int
    trueward_version: str
    created: str  # ISO 8601, UTC
    command: str
    exit_code: int
    audits: list[Audit]
    telling: list[Example]  # the most telling exploits over all audits
    curves: list[Curve]
