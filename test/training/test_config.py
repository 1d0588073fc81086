"""The configuration of a training run: every mistake is named by its key."""

from __future__ import annotations

import pytest
import yaml
from helpers.training import training_config

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.training.config import TrainingConfig, check_same_training, read_config
from hand_pose_ros.training.config_files import read_yaml, with_overrides

MINIMAL = {"task": "hand_diffusion", "steps": 10}


def write(tmp_path, values):
    path = tmp_path / "run.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_a_configuration_survives_yaml(tmp_path):
    config = training_config(options={"network": {"channels": [1, 2]}}, minutes=1.5)
    assert read_config(write(tmp_path, config.to_dict())).to_dict() == config.to_dict()


def test_sections_and_numbers_are_read(tmp_path):
    text = "task: hand_diffusion\nsteps: 10\noptions: {a: 1e3}\nevery:\n"
    text += "optimiser: {learning_rate: 3e-4, betas: [0.8, 0.9]}\n"
    config = read_config(
        write(tmp_path, text), ["seed=7", "optimiser.clip_norm=null", "options.network.width=8"]
    )
    assert config.optimiser.learning_rate == 3e-4
    assert config.optimiser.betas == (0.8, 0.9)
    assert config.optimiser.clip_norm is None
    assert config.options == {"a": 1000.0, "network": {"width": 8}}
    assert (config.seed, config.every) == (7, TrainingConfig(**MINIMAL).every)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stesp=3", "unknown key: stesp"),
        ("optimiser.rate=3", r"unknown key: optimiser\.rate"),
        ("every={log: 3}", r"unknown key: every\.log"),
        ("steps=many", "steps must be a whole number, got 'many'"),
        ("steps=1.5", "steps must be a whole number"),
        ("steps=true", "steps must be a whole number"),
        ("steps=0", "steps must be above 0"),
        ("steps=null", "steps or minutes must be given"),
        ("minutes=-1", "minutes must be above 0"),
        ("minutes=.nan", "minutes must be a finite number"),
        ("seed=-1", "seed must be in"),
        ("device=tpu", "device must be one of auto, cpu, cuda, got 'tpu'"),
        ("precision=fp16", "precision must be one of auto, fp32, bf16"),
        ("threads=0", "threads must be above 0"),
        ("half_weights=1", "half_weights must be true or false"),
        ("task=3", "task must be a text"),
        ("options=3", "options must be a section"),
        ("optimiser=3", "optimiser must hold keys and values"),
        ("optimiser.learning_rate=0", r"optimiser\.learning_rate must be above 0"),
        ("optimiser.learning_rate=fast", r"optimiser\.learning_rate must be a finite number"),
        ("optimiser.weight_decay=-1", r"optimiser\.weight_decay must be 0 or more"),
        ("optimiser.betas=[0.9]", r"optimiser\.betas must hold 2 values"),
        ("optimiser.betas=[0.9, x]", r"optimiser\.betas\[1\] must be a finite number"),
        ("optimiser.betas=[0.9, 1]", r"optimiser\.betas must be two numbers in"),
        ("optimiser.warm_up_steps=-1", r"optimiser\.warm_up_steps must be 0 or more"),
        ("optimiser.final_learning_rate=2", r"optimiser\.final_learning_rate must be between"),
        ("optimiser.clip_norm=0", r"optimiser\.clip_norm must be above 0, or null"),
        ("optimiser.method=adam", r"optimiser\.method must be one of adamw, sgd"),
        ("optimiser.schedule=linear", r"optimiser\.schedule must be one of cosine, steps"),
        ("optimiser.schedule=steps", r"optimiser\.decay_at must be given for the schedule 'steps'"),
        ("optimiser.decay_at=[0.5]", r"optimiser\.decay_at must be given for the schedule 'steps'"),
        ("optimiser.momentum=1", r"optimiser\.momentum must be in"),
        ("optimiser.ema_decay=1", r"optimiser\.ema_decay must be in"),
        ("every.log_steps=0", r"every\.log_steps must be above 0"),
        ("every.validation_steps=null", r"every\.validation_steps must be a whole number"),
        ("every.checkpoint_minutes=0", r"every\.checkpoint_minutes must be above 0, or null"),
        ("steps.more=3", r"steps\.more cannot be set: steps is not a section"),
        ("steps", "must look like section.key=value"),
        (".steps=3", "must look like section.key=value"),
        ("steps=[", "steps cannot be set to"),
    ],
)
def test_mistakes_are_named(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        read_config(write(tmp_path, MINIMAL), [override])


def test_a_configuration_without_a_task_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"run\.yaml: missing key: task"):
        read_config(write(tmp_path, {"steps": 3}))


@pytest.mark.parametrize("content", ["", "- 1", "a: [", "just text"])
def test_what_is_no_configuration_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match=r"run\.yaml"):
        read_yaml(write(tmp_path, content))
    with pytest.raises(ValueError, match="cannot read the configuration"):
        read_yaml(tmp_path / "absent.yaml")


def test_overrides_leave_the_original_alone():
    values = {"a": {"b": 1}}
    assert with_overrides(values, ["a.b=2", "a.c=x", "d=1e-3"]) == {"a": {"b": 2, "c": "x"}, "d": 0.001}
    assert values == {"a": {"b": 1}}


def test_entries_of_lists_are_named_by_their_number():
    values = {"sets": [{"path": ""}, {"path": "x"}], "rates": [1, 2]}
    changed = with_overrides(values, ["sets.0.path=/data", "sets.1.options.split=train", "rates.1=3"])
    assert changed["sets"] == [{"path": "/data"}, {"path": "x", "options": {"split": "train"}}]
    assert changed["rates"] == [1, 3]
    assert values["sets"][0] == {"path": ""}
    for override in ("sets.2.path=x", "sets.-1.path=x", "rates.2=1", "sets.first.path=x"):
        with pytest.raises(ValueError, match="is not one of the 2 entries, from 0"):
            with_overrides(values, [override])
    with pytest.raises(ValueError, match="0 is not a section"):
        with_overrides(values, ["rates.0.more=1"])


def test_only_how_a_run_is_run_may_change_when_it_is_resumed():
    earlier = training_config(options={"width": 32})
    check_same_training(
        training_config(options={"width": 32}, threads=2, device="auto", every={}), earlier.to_dict()
    )
    other = training_config(options={"width": 16, "depth": 2}, steps=61)
    with pytest.raises(ValueError, match="another configuration") as caught:
        check_same_training(other, earlier.to_dict())
    text = str(caught.value)
    assert "steps was 60, is 61" in text
    assert "options.width was 32, is 16" in text
    assert "options.depth was None, is 2" in text
    assert "optimiser" not in text


def test_a_run_from_before_there_were_optimisers_to_choose_from_can_be_resumed():
    config = training_config()
    earlier = config.to_dict()
    for name in ("method", "schedule", "decay_at", "momentum"):
        del earlier["optimiser"][name]
    check_same_training(config, earlier)
    other = training_config(optimiser={"method": "sgd"})
    with pytest.raises(ValueError, match=r"optimiser\.method was 'adamw', is 'sgd'"):
        check_same_training(other, earlier)


def test_every_yaml_of_the_repository_is_a_configuration(repository):
    for path in sorted((repository / "config" / "training").rglob("*.yaml")):
        read_config(path)


def test_dataclasses_of_a_task_can_be_read_the_same_way():
    with pytest.raises(ValueError, match=r"unknown key: options\.extra; known are task, options"):
        read_dataclass(TrainingConfig, {**MINIMAL, "extra": 1}, "options")


def test_the_page_on_training_shows_the_defaults(repository):
    text = (repository / "docs" / "how" / "training.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    shown = with_overrides({}, [f"shown={block}"])["shown"]
    defaults = TrainingConfig(task="hand_diffusion", steps=12000)
    assert read_dataclass(TrainingConfig, shown).to_dict() == defaults.to_dict()
    assert shown.keys() == defaults.to_dict().keys()
