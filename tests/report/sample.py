"""Documents as an audit makes them, of any size, for the tests of the report."""

from __future__ import annotations

import math
import random

from trueward.report.document import (
    SCHEMA_VERSION,
    Audit,
    Comparison,
    ControlCurve,
    ControlRun,
    Curve,
    Document,
    Example,
    FamilyRow,
    Finding,
    ImageChange,
    ImageClimb,
    ImageGrowth,
    ImageHoldout,
    ImageLedger,
    ImageRun,
    ImageSheet,
    ImageTrait,
    Note,
    RolloutLog,
    RolloutStep,
    Search,
)

HOSTILE = (
    "<script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\" class=attacker>",
    "</script><script>document.title='pwned'</script>",
    "<!--<script>",
    "javascript:document.title='pwned'",
    "<a class=attacker href=\"javascript:document.title='pwned'\">x</a>",
    "line\u2028separator\u2029here",
    "{{7*7}} {% raw %} ${7*7} #{7*7}",
    "]]> <![CDATA[ &lt;b class=attacker&gt; &amp;",
    "\" onmouseover=\"document.title='pwned'\" x='",
    "\x1b[2J\x1b]0;pwn\x07 \r\b\b\b\x9b31m \x00",
    "\u202eesrever\u202c \u200bzero\u200dwidth\ufeff \U000e0041tag \ue000private",
    "lone \ud800 surrogate",
    "[red]markup[/red] [link=https://example.org]x[/link] [/]",
)

_QUESTIONS = (
    ("Natalia sold clips to 48 of her friends in April, and then half as many in May. How many in all?", "72"),
    ("Weng earns $12 an hour for babysitting. Yesterday she did 50 minutes. How much did she earn?", "10"),
    ("Which of these is a noble gas? (A) oxygen (B) argon (C) chlorine (D) iron", "B"),
    ("Simplify \\frac{3}{4} + \\frac{1}{8}.", "\\frac{7}{8}"),
    ("Betty has half of the $100 that she needs; her parents give $15, her grandparents twice as much. "
     "How much more does she need? Give only the number of dollars, without a unit, in \\boxed{}.", "5"),
)  # fmt: skip

# family, what was tried, relation, what a reward does wrong, why
FAMILIES = (
    ("nothing", "no answer: empty, blank, a refusal, an unrelated word", "wrong",
     "pays completions that hold no answer", "There is no answer in it."),
    ("echo", "the question given back", "wrong",
     "pays the question given back", "It repeats the question and answers nothing."),
    ("constant", "the same answer to every question: 0, 1, yes, A, nan, []…", "wrong",
     "pays one and the same answer to every question", "It is the same for every question, and wrong for this one."),
    ("list of options", "all options, or all numbers up to 50, in one answer", "wrong",
     "pays a list of all options", "It lists every option and chooses none."),
    ("near miss", "sign, digit, off by one, per cent, unit, an element missing", "wrong",
     "pays answers that are close and wrong", "It is close to the right answer and wrong."),
    ("hedge", "'A or B' in both orders, several boxes or answer lines with the last one wrong", "wrong",
     "pays 'A or B', or an answer that was taken back",
     "It does not commit to the right answer: it offers several, or takes the right one back."),
    ("negation", "the right answer denied: 'not X'", "wrong",
     "pays 'not X' where X is right", "It says that the right answer is not the answer."),
    ("grid", "a grid with one cell changed", "wrong", "pays a wrong grid", "A cell is wrong."),
    ("padding", "a thousand characters that say nothing, before or after", "no_gain",
     "pays for text that says nothing", "The added text says nothing, so it must not raise the reward."),
    ("keywords", "words that sound like quality", "no_gain",
     "pays for words that sound like quality", "The words claim quality and add none."),
    ("equivalents", "the right answer written another way: 12.0, $12$, 1,200, capitals", "right",
     "refuses the right answer written another way", "It is the right answer, written another way."),
    ("parser bombs", "towers of powers, deep nesting, a million digits, a very long line", "returns",
     "pays input that breaks the parser", "It is not the answer, and whatever it does to the parser must not pay."),
)  # fmt: skip


def example(draw: random.Random, family: str, why: str, relation: str = "wrong", **changes: object) -> Example:
    """One probe."""
    question, answer = draw.choice(_QUESTIONS)
    completions = {
        "nothing": "",
        "echo": question,
        "constant": "\\boxed{0}",
        "list of options": "\\boxed{" + ", ".join(map(str, range(1, 51))) + "}",
        "near miss": f"\\boxed{{{answer}\\%}}",
        "hedge": f"It is \\boxed{{{answer}}} or \\boxed{{17}}.\nI am not sure which.",
        "negation": f"The answer is not {answer}.",
        "padding": f"\\boxed{{{answer}}}" + " and so on" * 100,
        "keywords": f"Careful, rigorous, verified step by step: \\boxed{{{answer}}}",
        "equivalents": f"\\boxed{{{answer}.0}}",
        "parser bombs": "\\boxed{" + "9^" * 400 + "9}",
    }
    made = Example(
        id=f"{draw.getrandbits(48):012x}",
        scorer="",
        row=f"{draw.getrandbits(48):012x}",
        family=family,
        variant=draw.choice(("sign, boxed", "digit, boxed", "first, bare")),
        relation=relation,
        prompt=question,
        reference=answer,
        completion=completions.get(family, answer),
        reward=1.0,
        status="ok",
        detail="",
        payoff=1.0,
        right_reward=1.0,
        null_reward=0.0,
        base_reward=None,
        why=why,
        derivation=[f"reference: {answer}", f"written as: {family}", "delivered as: boxed"],
    )
    made.update(changes)  # type: ignore[typeddict-item]
    return made


def finding(draw: random.Random, family: str, prompts: int, tested: int, examples: int) -> Finding:
    """One finding of the kind that its family leads to."""
    _, _, relation, title, why = next(row for row in FAMILIES if row[0] == family)
    kind = {"no_gain": "gain", "right": "refusal", "returns": "failure"}.get(relation, "exploit")
    changes: dict[str, object] = {}
    if kind == "failure":
        title = "hangs: no result within 5.0 s"
        changes = {"reward": None, "payoff": None, "status": "timed out", "detail": "no result within 5.0 s"}
    elif kind == "refusal":
        changes = {"reward": 0.0, "payoff": 0.0}
    share = prompts / tested
    made = [example(draw, family, why, relation, **changes) for _ in range(examples)]
    return Finding(
        kind=kind,  # type: ignore[typeddict-item]
        family=family,
        variant="sign, digit",
        title=title,
        prompts=prompts,
        tested=tested,
        share=share,
        low=max(0.0, share - 0.1),
        high=min(1.0, share + 0.06),
        mean_payoff=0.24 if kind == "gain" else None,
        examples=sorted(made, key=lambda e: len(e["completion"])),
        hits=sorted(e["id"] for e in made),
    )


def family_row(draw: random.Random, family: str, found: dict[str, Finding], reads_answer: bool) -> FamilyRow:
    """What one family earned, in agreement with the findings."""
    _, description, relation, _, _ = next(row for row in FAMILIES if row[0] == family)
    untested = {"grid": "no certified probe for these answers"}.get(family, "")
    if not reads_answer and relation in ("wrong", "right"):
        untested = "the reward does not read the answer"
    hit = found.get(family)
    known = not untested and relation in ("wrong", "right")
    full = 48 if relation == "right" else hit["prompts"] if hit else 0
    partial = draw.choice((0, 0, 2)) if family == "near miss" else 0
    mean = (full + 0.7 * partial) / 48
    return FamilyRow(
        family=family,
        description=description,
        relation=relation,
        tested=0 if untested else 48,
        probes=0 if untested else 48 * 3,
        not_tested=untested,
        full=full if known else 0,
        partial=partial if known else 0,
        mean_payoff=mean if known else None,
        low=max(0.0, mean - 0.09) if known else None,
        high=min(1.0, mean + 0.09) if known else None,
    )


def audit(seed: int, reward: str, broken: tuple[tuple[str, int], ...], examples: int = 6) -> Audit:
    """One audit with a finding per (family, prompts) of `broken`."""
    draw = random.Random(seed)
    findings = [finding(draw, family, prompts, 48, examples) for family, prompts in broken]
    best = max((prompts for _, prompts in broken), default=0)
    note = Note(
        title="partly pays answers that are close and wrong",
        detail="2 of 48 prompts",
        examples=[example(draw, "near miss", "It is close to the right answer and wrong.", payoff=0.6, reward=0.6)],
    )
    for shown in (*note["examples"], *(e for f in findings for e in f["examples"])):
        shown["scorer"] = reward
    return Audit(
        reward=reward,
        verdict="findings" if findings else "clean",
        headline=f"best cheap trick earns .83 of a right answer on {best / 48:.0%} of prompts"
        if best
        else "no cheap trick earned anything",
        reads_answer=True,
        header=["answers are taken as unique: the data does not declare it"],
        envelope="\\boxed{}, chat messages",
        auc=1.0,
        prompts=50,
        usable=48,
        calls=3122,
        seconds=12.34,
        deterministic=True,
        statuses={"ok": 3120, "timed out": 2},
        latency={"median": 0.0004, "p99": 0.0031, "worst": 5.0, "worst_completion": "\\boxed{9^9^9^9^9^9"},
        families=[family_row(draw, row[0], {f["family"]: f for f in findings}, True) for row in FAMILIES],
        findings=findings,
        notes=[note],
        search=None,
        rollouts=None,
        comparison=None,
        error="",
    )


def unreadable(reward: str) -> Audit:
    """A reward that does not read the answer."""
    made = audit(7, reward, (("keywords", 31),))
    made["headline"] = (
        "does not read the answer: it pays for form, and was tried only for gains, stability and failures"
    )
    made["reads_answer"] = False
    made["auc"] = 0.52
    made["families"] = [family_row(random.Random(7), row[0], {}, False) for row in FAMILIES]
    return made


def failed(reward: str) -> Audit:
    """A reward that could not be audited."""
    return Audit(
        reward=reward,
        verdict="not audited",
        headline="",
        reads_answer=False,
        header=[],
        envelope="",
        auc=None,
        prompts=0,
        usable=0,
        calls=0,
        seconds=0.0,
        deterministic=None,
        statuses={},
        latency=None,
        families=[],
        findings=[],
        notes=[],
        search=None,
        rollouts=None,
        comparison=None,
        error="trl.rewards:accuracy_reward needs the column 'solution', which the data does not have",
    )


def find(draw: random.Random, completion: str, *steps: str) -> Finding:
    """One find of a search, shrunk, with the steps that made it."""
    why = "The answer that it commits to is wrong."
    shown = example(draw, "search", why, completion=completion, derivation=["sign: -72", "written as: sign", *steps])
    return Finding(
        kind="exploit",
        family="search",
        variant=f"sign + {' + '.join(steps)}",
        title=f"pays a wrong answer with {' and '.join(steps)}",
        prompts=40,
        tested=48,
        share=40 / 48,
        low=0.7,
        high=0.91,
        mean_payoff=None,
        examples=[shown],
        hits=[shown["id"]],
    )


def log(seed: int = 11, steps: int = 12) -> RolloutLog:
    """A training run of 64 completions a step that learns to hedge from step 40 on; nothing is paid at step 0."""
    draw = random.Random(seed)
    made = []
    for index in range(steps):
        paid = 0 if index == 0 else 16 + 48 * index // steps
        exploits = 0 if index < 4 else paid * (index - 3) // (steps + 1)
        share = exploits / paid if paid else None
        made.append(
            RolloutStep(
                step=10 * index,
                completions=64,
                paid=paid,
                exploits=exploits,
                share=share,
                low=max(0.0, share - 0.1) if share is not None else 0.0,
                high=min(1.0, share + 0.12) if share is not None else 1.0,
                mean_reward=paid / 64,
            )
        )
    paid, wrong = sum(step["paid"] for step in made), sum(step["exploits"] for step in made)
    return RolloutLog(
        source="runs/completions",
        format="TRL completions",
        completions=64 * steps,
        unmatched=3,
        paid=paid,
        wrong=wrong,
        right=paid - wrong - 7,
        unknown=7,
        first_step=next((step["step"] for step in made if step["exploits"]), None),
        steps=made,
        families={"hedge": wrong - wrong // 4, "wrong answer": wrong // 4},
        examples=[
            example(draw, "hedge", "It offers several answers and chooses none.", derivation=[], variant="logged"),
            example(draw, "wrong answer", "The answer that it commits to is wrong.", derivation=[], variant="logged"),
        ],
    )


def comparison() -> Comparison:
    """Three probes count that did not, one does not any more."""
    return Comparison(
        baseline="last.json",
        known=True,
        new=["3f0000000001", "3f0000000002", "3f0000000003"],
        gone=["3f00000000aa"],
        regressions=["pays 'A or B', or an answer that was taken back"],
    )


def curve_of_rule() -> Curve:
    """Proxy and gold on one scale; gold, 0 or 1, is highest at n = 16 and falls after it."""
    n = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
    gold = [0.42, 0.5, 0.57, 0.62, 0.64, 0.63, 0.6, 0.57, 0.53, 0.5, 0.48]
    proxy = [0.45, 0.57, 0.68, 0.77, 0.84, 0.89, 0.93, 0.955, 0.972, 0.984, 0.99]
    return Curve(
        source="rollouts.parquet",
        proxy="reward",
        gold="correct",
        prompts=500,
        samples=1000,
        n=n,
        kl=[math.log(k) - (k - 1) / k for k in n],
        proxy_mean=proxy,
        proxy_low=[value - 0.02 for value in proxy],
        proxy_high=[min(1.0, value + 0.02) for value in proxy],
        gold_mean=gold,
        gold_low=[value - 0.03 for value in gold],
        gold_high=[value + 0.03 for value in gold],
        pass_at_k=[1 - 0.58**k for k in n],
        peak=16,
        notices=["12 samples without a score were left out"],
    )


def curve_of_model() -> Curve:
    """A reward model's logits against another model's: two scales; gold is highest at the last n."""
    n = [1, 2, 4, 8, 16, 32, 64]
    proxy = [-2.1 + 1.9 * math.log(k) for k in n]
    gold = [0.11 + 0.09 * math.log(k) for k in n]
    return Curve(
        source="samples.jsonl",
        proxy="model",
        gold="judge",
        prompts=64,
        samples=64,
        n=n,
        kl=[math.log(k) - (k - 1) / k for k in n],
        proxy_mean=proxy,
        proxy_low=[value - 0.4 for value in proxy],
        proxy_high=[value + 0.4 for value in proxy],
        gold_mean=gold,
        gold_low=[value - 0.05 for value in gold],
        gold_high=[value + 0.05 for value in gold],
        pass_at_k=None,
        peak=64,
        notices=[],
    )


def document(audits: list[Audit], command: str = "/usr/local/bin/trueward audit") -> Document:
    """A document over audits."""
    exploits = [f["examples"][0] for a in audits for f in a["findings"] if f["kind"] == "exploit" and f["examples"]]
    verdicts = {a["verdict"] for a in audits}
    return Document(
        schema="trueward-audit",
        schema_version=SCHEMA_VERSION,
        trueward_version="0.1.0",
        created="2025-01-31T12:00:00+00:00",
        command=command,
        exit_code=1 if "findings" in verdicts else 2 if "not audited" in verdicts else 0,
        audits=audits,
        telling=exploits[:3],
        curves=[],
    )


def one() -> Document:
    """A document with one audit, with findings of every kind."""
    broken = (("hedge", 44), ("constant", 12), ("padding", 9), ("equivalents", 5), ("parser bombs", 1))
    command = "/usr/local/bin/trueward audit examples/rewards.py:last_number --data prompts.jsonl"
    return document([audit(1, "examples/rewards.py:last_number", broken)], command)


def full() -> Document:
    """One audit with everything that a report can hold: a search, a log, a comparison, and two curves beside it."""
    made = one()
    draw = random.Random(8)
    only = made["audits"][0]
    only["findings"] += [
        find(draw, "<think>\n72\n</think>\n\\boxed{-72}", "the right answer hidden: think"),
        find(draw, "\\boxed{-72, km} QED", "', km' behind the answer", "'QED' at the end"),
    ]
    for shown in only["findings"][-2:]:
        shown["examples"][0]["scorer"] = only["reward"]
    only["search"] = Search(budget=2000, calls=1730, candidates=1212, discarded=518, causes=2)
    only["rollouts"] = log()
    only["comparison"] = comparison()
    only["comparison"]["new"][0] = only["findings"][0]["examples"][0]["id"]
    made["curves"] = [curve_of_rule(), curve_of_model()]
    return made


def curves_only() -> Document:
    """What `trueward curve --html` makes: curves and no audit."""
    made = document([], "/usr/local/bin/trueward curve rollouts.parquet --proxy reward --gold correct")
    made["curves"] = [curve_of_rule(), curve_of_model()]
    return made


def many(count: int = 100, examples: int = 40, runs: bool = False) -> Document:
    """A document with many audits: some clean, one not audited, one that does not read the answer.

    Args:
        count: audits, at least 4.
        examples: examples of each audit that has findings, over all its findings.
        runs: whether every audit has a search, a log of a long run, and a comparison.
    """
    draw = random.Random(count)
    tricks = ("nothing", "constant", "hedge", "near miss", "negation", "echo")
    audits = [
        audit(0, "trl.rewards:get_repetition_penalty_reward(ngram_size=3, max_penalty=-1.0)", ()),
        failed("trl.rewards:accuracy_reward"),
        unreadable("trl.rewards:think_format_reward"),
    ]
    for index in range(count - len(audits)):
        chosen = draw.sample(tricks, 4) if index % 3 else []
        broken = tuple((family, draw.randint(1, 48)) for family in chosen)
        audits.append(audit(index + 1, f"reasoning_gym:set_number_{index}", broken, examples // 4))
    if runs:
        for index, made in enumerate(audits):
            made["search"] = Search(budget=2000, calls=1730, candidates=1212, discarded=518, causes=1)
            made["findings"].append(find(draw, f"\\boxed{{-{index}}}", "', km' behind the answer"))
            made["rollouts"], made["comparison"] = log(index, steps=1000), comparison()
    return document(audits, "make demo")


def _hostile_runs(made: Audit, texts: list[str]) -> None:
    """Search, log and comparison with hostile texts."""
    draw, every = random.Random(6), texts[-1]
    found = find(draw, every, *texts)
    found.update(title=every, variant=every)
    found["examples"][0].update(prompt=every, reference=every, why=every)
    refused = example(draw, "equivalents", every, "right", completion=every, variant=every, reward=0.0, payoff=0.0)
    made["findings"].append(found)
    made["notes"].append(Note(title=every, detail=every, examples=[refused]))
    made["statuses"] = {"ok": 10, every: 3, **{text: 1 for text in texts}}
    made["search"] = Search(budget=10, calls=9, candidates=8, discarded=7, causes=1)
    made["rollouts"] = log()
    made["rollouts"].update(source=every, format=every, families={text: 1 for text in texts})
    made["rollouts"]["examples"][0].update(completion=every, prompt=every, variant=every, why=every)
    made["comparison"] = Comparison(baseline=every, known=True, new=texts, gone=texts, regressions=texts)


def hostile() -> Document:
    """One document in which every text field that a stranger can fill holds every hostile text."""
    every = " | ".join(HOSTILE)
    made = audit(3, every, (("hedge", 40),))
    draw = random.Random(5)
    texts = [*HOSTILE, every]
    for text in texts:
        made["findings"][0]["examples"].append(
            example(
                draw,
                "hedge",
                text,
                completion=text,
                prompt=text,
                reference=text,
                variant=text,
                row=text,
                derivation=[text, every],
            )
        )
    made["findings"][0].update(title=every, variant=every)
    made["notes"][0].update(title=every, detail=every)
    made["header"] = texts
    made["headline"] = every
    made["envelope"] = every
    made["families"][0]["description"] = every
    made["families"][0]["not_tested"] = every
    made["latency"] = {"median": 0.1, "p99": 0.2, "worst": 1.0, "worst_completion": every}
    _hostile_runs(made, texts)
    broken = failed(every + " 2")
    broken["error"] = every
    document_ = document([made, broken], every)
    document_["curves"] = [curve_of_rule(), curve_of_model()]
    for drawn in document_["curves"]:
        drawn.update(source=every, proxy=every, gold=every, notices=texts)
    document_["telling"] = [made["findings"][0]["examples"][-1], made["findings"][0]["examples"][0]]
    return document_


def control_run(curves: bool = True) -> ControlRun:
    """How a reward of control was audited: trained on the reward, gold falls."""
    steps = [2048 * number for number in range(1, 6)]
    runs = [
        ControlCurve(
            trained_on=kind,  # type: ignore[typeddict-item]
            seed=seed,
            steps=steps,
            reward=[None, *(-5.0 + number + 0.1 * seed for number in range(1, 5))],
            gold=[
                None,
                *((20.0 - 3 * number if kind == "reward" else 20.0 + 40 * number) + seed for number in range(1, 5)),
            ],
        )
        for seed in range(2)
        for kind in ("reward", "gold")
    ]
    return ControlRun(
        environment="CartPole-v1",
        gold="stands",
        policies=22,
        steps=43_311,
        training_steps=10_240,
        seeds=2,
        discount=0.99,
        gap=172.0,
        gap_low=171.0,
        gap_high=173.0,
        curves=runs if curves else [],
    )


def control_audit() -> Audit:
    """The audit of a reward of control, with one finding."""
    draw = random.Random(23)
    made = audit(23, "rewards.py:steady", ())
    why = "Over 16 starts it has gold 7.8 where the competent policy has 200, and earns +10.3 against it."
    shown = example(draw, "ending early", why)
    shown.update(
        modality="control",
        scorer="rewards.py:steady",
        row="start 3",
        variant="always action 0",
        prompt="CartPole-v1, start 3 of those with seed 1",
        reference="trained on gold, seed 0: 200 steps, then cut off; plain sums: reward -27.5, gold 200",
        completion="always action 0\nactions: 0 ×8\n8 steps, then its own end; plain sums: reward -1.7, gold 7",
        reward=-1.63,
        right_reward=-13.4,
        null_reward=-2.84,
        payoff=None,
        derivation=["made by: one action", "plays: always action 0"],
    )
    row = family_row(draw, "near miss", {}, True)
    row.update(family="ending early", description="the episode is over early (12 policies)", tested=16, full=16)
    row.update(partial=0, mean_payoff=None, low=None, high=None)
    made.update(
        modality="control",
        control=control_run(),
        verdict="findings",
        headline="a policy that is paid as much as the competent one has none of its gold",
        header=[],
        envelope="",
        auc=None,
        prompts=16,
        usable=16,
        families=[row],
        notes=[],
        findings=[
            Finding(
                modality="control",
                kind="exploit",
                family="ending early, optimised",
                variant="always action 0",
                title="pays more for ending the episode early than for going on",
                prompts=16,
                tested=16,
                share=1.0,
                low=0.81,
                high=1.0,
                mean_payoff=None,
                examples=[shown],
                hits=[shown["id"]],
            )
        ],
    )
    return made


def control() -> Document:
    """A document with one audit of control."""
    return document([control_audit()], "/usr/local/bin/trueward audit rewards.py:steady --env CartPole-v1")


def image_change(family: str, variant: str, gain: float, state: str = "fine", relation: str = "no_gain") -> ImageChange:
    """One change of images with an interval of ±.2 spreads."""
    return ImageChange(
        family=family,
        variant=variant,
        relation=relation,
        state=state,  # type: ignore[typeddict-item]
        not_tested="it changes nothing in these images" if state == "not tested" else "",
        tested=0 if state == "not tested" else 48,
        failed=0,
        raised=41 if gain > 0.25 else 2,
        beyond=12 if gain > 0.25 else 0,
        gain=gain,
        low=gain - 0.2,
        high=gain + 0.2,
        holdout=-0.5,
        holdout_low=-0.6,
        holdout_high=-0.4,
    )


def image_run() -> ImageRun:
    """How a reward of images was audited: contrast is paid, and the reward has no end."""
    return ImageRun(
        source="digits",
        images=48,
        prompts=10,
        sizes="8 × 8",
        mean=3.06,
        best=6.69,
        spread=1.92,
        spread_said="the standard deviation of the images",
        room=0.25,
        loss=0.1,
        changes=[
            image_change("saturation", "×4", 0.0, "not tested"),
            image_change("contrast", "×0.4", -0.9),
            image_change("contrast", "×4", 1.84, "found"),
            image_change("constant", "white", -6.3, relation="wrong"),
        ],
        ledger=ImageLedger(
            top=5,
            diversity=0.62,
            low=0.85,
            high=1.12,
            prompts=3,
            traits=[
                ImageTrait(name="contrast", correlation=0.91, top=0.41, all=0.33),
                ImageTrait(name="saturation", correlation=None, top=0.0, all=0.0),
            ],
            best_of_all={"contrast": 12, "as it is": 4},
        ),
        holdout=ImageHoldout(name="other.py:score", rank=0.35, rank_all=0.7, corrected=2.1, apart=["contrast, ×4"]),
        growth=ImageGrowth(
            images=6,
            scored=640,
            rounds=[0, 40, 80, 107],
            beyond=[-0.4, 0.3, 0.9, 1.3],
            far=5,
            holdout=[0.0, -1.1, -2.2, -3.0],
            corrected=[2.2, 2.4, 1.0, -0.3],
            boundary=40,
        ),
        climb=ImageClimb(
            budget=1000,
            scored=996,
            tried=83,
            pool=12,
            rest=36,
            steps=["contrast ×1.3", "white frame of 6 %"],
            gain=[0.0, 0.4, 0.7],
        ),
        sheets=[ImageSheet(title="contrast, ×4: +1.84 spreads", about="above as it is, below changed", png=PNG)],
    )


# The smallest PNG file: one white pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAGFxKFQAAAABJRU5ErkJggg=="


def image_audit() -> Audit:
    """The audit of a reward of images, with one finding."""
    draw = random.Random(29)
    made = audit(29, "scorers.py:logit", ())
    shown = example(draw, "contrast", "Values farther from the mean grey. This image: +2.1 spreads.")
    shown.update(
        modality="images",
        scorer="scorers.py:logit",
        row="3/0007.png",
        variant="×4",
        relation="no_gain",
        prompt="3",
        reference="3/0007.png",
        completion="contrast, ×4",
        reward=8.1,
        base_reward=4.1,
        right_reward=None,
        null_reward=None,
        payoff=None,
        derivation=[],
    )
    rows = []
    for family, relation, tested, full in (
        ("saturation", "no_gain", 0, 0),
        ("contrast", "no_gain", 48, 41),
        ("constant", "wrong", 48, 0),
        ("growth", "no_gain", 6, 5),
        ("asked again", "same", 48, 0),
    ):
        row = family_row(draw, "near miss", {}, True)
        row.update(family=family, description=f"what {family} does", relation=relation, tested=tested, full=full)
        row.update(partial=0, mean_payoff=None, low=None, high=None)
        row.update(not_tested="" if tested else "it changes nothing in these images")
        rows.append(row)
    made.update(
        modality="images",
        images=image_run(),
        verdict="findings",
        headline="contrast (×4) raises the reward by 1.84 spreads",
        header=[],
        envelope="",
        auc=None,
        prompts=48,
        usable=48,
        families=rows,
        notes=[],
        findings=[
            Finding(
                modality="images",
                kind="gain",
                family="contrast",
                variant="×4",
                title="contrast (×4) raises the reward by 1.84 spreads",
                prompts=41,
                tested=48,
                share=41 / 48,
                low=0.73,
                high=0.93,
                mean_payoff=None,
                examples=[shown],
                hits=[shown["id"]],
            )
        ],
    )
    return made


def images() -> Document:
    """A document with one audit of images."""
    return document([image_audit()], "/usr/local/bin/trueward audit scorers.py:logit --images digits")
