# Everything by one command, on a machine without ROS 2: each target first makes the environment it needs.
# With ROS 2 installed use colcon instead (README). Variables: PYTHON, VENV, VERSIONS, PYTEST_ARGS, JOBS, BENCHMARKS,
# and of the demo: INPUT, TOPIC, OUT, CALIBRATION, FOV, DETECTOR, ESTIMATOR, HEATMAP_WEIGHTS, MESH_WEIGHTS, CONDITION, ROBOT, ROBOT_URDF, SIDE, DOMAIN.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-newest test-fast lint format docs benchmarks docs-figures clean distclean

RUN := tools/run
INPUT ?= clip
OUT ?= out
# The live graphs run by themselves, since other load disturbs them; the rest runs in JOBS processes.
JOBS ?= 2
BENCHMARKS ?= forward_kinematics inverse_kinematics root_depth skinning rendering training_images diffusion_estimator graph_latency
# Recipes take variables from the environment, in quotes, and their values are not expanded: no value is ever run.
VARIABLES := INPUT TOPIC OUT CALIBRATION FOV DETECTOR ESTIMATOR HEATMAP_WEIGHTS MESH_WEIGHTS CONDITION ROBOT ROBOT_URDF SIDE DOMAIN PYTEST_ARGS JOBS BENCHMARKS VENV PYTHON VERSIONS
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
# The set of versions, where the Python takes both: oldest (numpy 1, the default) or newest (numpy 2, OpenCV 5).
ifeq ($(VENV),)
override VENV := .venv$(if $(filter newest,$(VERSIONS)),-newest)
endif
export $(VARIABLES)
PYTEST := PYTEST_ADDOPTS="$$PYTEST_ADDOPTS $$PYTEST_ARGS" $(RUN) python -m pytest --timeout 600
TESTS := -n "$$JOBS" --dist loadfile

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make or update the virtual environment in .venv
	@command -v python3 >/dev/null || { echo "no python3: sudo apt install python3-venv python3-dev g++" >&2; exit 1; }
	@python3 tools/setup_environment.py

demo: setup ## play a rendered hand, or INPUT=video, webcam number, folder or bag, through the nodes; ROBOT=demo_hand: a robot hand follows; results in OUT=out
	@$(RUN) python -m hand_pose_ros demo --input "$$INPUT" --output "$$OUT" --calibration "$$CALIBRATION" --topic "$$TOPIC" \
	    $${FOV:+--fov "$$FOV"} $${CONDITION:+--condition "$$CONDITION"} \
	    $${DETECTOR:+--detector "$$DETECTOR"} $${ESTIMATOR:+--estimator "$$ESTIMATOR"} $${HEATMAP_WEIGHTS:+--heatmap-weights "$$HEATMAP_WEIGHTS"} \
	    $${MESH_WEIGHTS:+--mesh-weights "$$MESH_WEIGHTS"} \
	    $${ROBOT:+--robot "$$ROBOT"} $${ROBOT_URDF:+--robot-urdf "$$ROBOT_URDF"} $${SIDE:+--side "$$SIDE"} $${DOMAIN:+--domain-id "$$DOMAIN"}

test: setup ## run all tests
	@$(PYTEST) $(TESTS) -m "not live"
	@$(PYTEST) test/ros -m live

test-newest: override export VERSIONS := newest
test-newest: override export VENV := $(VENV:-newest=)-newest
test-newest: setup ## run the fast tests, a few of them live, with numpy 2 and OpenCV 5, in .venv-newest
	@$(PYTEST) $(TESTS) -m "not live and not slow"
	@$(PYTEST) test/ros/demo test/ros/hand_estimator/test_node.py test/ros/messages test/ros/shared/test_parameters.py -m "live and not slow"

test-fast: setup ## run the tests that take less than ten seconds each
	@$(PYTEST) $(TESTS) -m "not live and not slow"
	@$(PYTEST) test/ros -m "live and not slow"

lint: setup ## check formatting, style, the floors of the package and types
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) lint-imports
	@$(RUN) basedpyright
	@$(RUN) basedpyright -p tools/types_strict.json

format: setup ## format the code
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

docs: setup ## build the documentation as a site, in build/site
	@python3 tools/setup_environment.py docs
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

benchmarks: setup ## measure: the quick ones of benchmarks/, or BENCHMARKS=graph_endurance
	@set -ef; for name in $$BENCHMARKS; do echo "== $$name"; $(RUN) python -m "benchmarks.$$name"; done

docs-figures: setup ## redraw the figures of docs/ that need no data; the others' commands are on their pages
	@$(RUN) python docs/figures/frames.py --output docs/images/frames.png
	@$(RUN) python docs/figures/hand_size.py --output docs/images/hand_size.png
	@$(RUN) python docs/figures/robot_frames.py --output docs/images/robot_frames.png
	@$(RUN) python docs/figures/robot_check.py --output docs/images/robot_check.png
	@$(RUN) python -m hand_pose_ros gallery --output docs/images/gallery.png
	@$(RUN) python docs/figures/training_images.py --output docs/images/training_images.jpg

clean: ## remove what tests, builds and demos leave behind
	rm -rf build install log out .pytest_cache .hypothesis .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environments too, if `make setup` made them
	@python3 tools/remove_environment.py "$${VENV%-newest}" "$${VENV%-newest}-newest"
