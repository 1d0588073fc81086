"""Makes the virtual environment that `make test` and `make demo` run in: everything from pip, no ROS 2 installed.

Only the standard library, and only syntax that an old python3 can read, so that it can say what is wrong with it.
Each step leaves a stamp in the environment; a step whose inputs have not changed since is not done again, so the
second run takes a moment and needs no network.
"""

import fcntl
import glob
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.abspath(os.path.join(CHECKOUT, os.environ.get("VENV") or ".venv"))
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMPS = os.path.join(VENV, ".setup")
LOG = os.path.join(STAMPS, "setup.log")
# The sets of versions: the file that fixes each, the Pythons that it installs on. The first that fits is taken.
CONSTRAINTS = {"oldest": "constraints.txt", "newest": "constraints_newest.txt"}
PYTHONS = {
    "oldest": ((3, 10), (3, 11), (3, 12)),
    "newest": ((3, 11), (3, 12), (3, 13), (3, 14)),
}
SUPPORTED = tuple(sorted(set().union(*PYTHONS.values())))
HEARTBEAT_S = 15.0


class SetupError(Exception):
    """Something that the user has to know, in words that say what to do."""


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- what the machine must bring -------------------------------------------------------------------------------


def check_machine():
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise SetupError(
            f"this is {platform.system()} on {platform.machine()}; the ROS 2 wheels are for Linux on x86-64.\n"
            "Install ROS 2 Jazzy and build with colcon instead (README)."
        )


def python_version(executable):
    """(major, minor) of an interpreter, or None if it does not run."""
    code = "import sys; print(sys.version_info[0], sys.version_info[1])"
    try:
        answer = subprocess.check_output(
            [executable, "-c", code], stderr=subprocess.DEVNULL, env=clean_environment()
        )
        major, minor = answer.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def suitable_pythons():
    """(major, minor) of every Python that suits: $VERSIONS, if set, names a set of versions and so limits them."""
    named = os.environ.get("VERSIONS")
    if named and named not in PYTHONS:
        raise SetupError("VERSIONS={}: choose one of {}.".format(named, ", ".join(PYTHONS)))
    return PYTHONS[named] if named else SUPPORTED


def set_for(version):
    """The name of the set of versions for a suitable Python: $VERSIONS, else the first that installs on it."""
    return os.environ.get("VERSIONS") or next(name for name in PYTHONS if version in PYTHONS[name])


def find_python():
    """The interpreter to build the environment with: $PYTHON if set, else the first that suits."""
    suitable = suitable_pythons()
    wanted = ", ".join("{}.{}".format(*version) for version in suitable)
    named = os.environ.get("PYTHON")
    if named:
        version = python_version(named)
        if version not in suitable:
            found = "{}.{}".format(*version) if version else "nothing that runs"
            raise SetupError(f"PYTHON={named} is {found}; needed is one of {wanted}.")
        return named
    for candidate in ("python3", *("python{}.{}".format(*version) for version in reversed(suitable))):
        path = shutil.which(candidate)
        if path and python_version(path) in suitable:
            return path
    raise SetupError(
        "no Python {} found (python3 is {}.{}).\n"
        "Install one, for example `sudo apt install python3.12 python3.12-venv python3.12-dev`, or name it: "
        "`make PYTHON=/path/to/python3.12 ...`.".format(wanted, *sys.version_info[:2])
    )


def check_build_tools(python):
    """Name every tool without which a later step would fail half-way, and the line that installs them."""
    missing = []
    probe = (
        "import importlib.util as u, os, sysconfig\n"
        "print(all(u.find_spec(m) for m in ('venv', 'ensurepip')))\n"
        "print(os.path.isfile(os.path.join(sysconfig.get_path('include'), 'Python.h')))\n"
    )
    can_venv, has_headers = subprocess.check_output(
        [python, "-c", probe], universal_newlines=True, env=clean_environment()
    ).split()
    name = "python{}.{}".format(*python_version(python))
    if can_venv != "True":
        missing.append(name + "-venv")
    if has_headers != "True":
        missing.append(name + "-dev")
    for package, commands in (("g++", ("g++", "c++")), ("gcc", ("gcc", "cc")), ("make", ("make",))):
        if not any(shutil.which(command) for command in commands):
            missing.append(package)
    if missing:
        raise SetupError(
            "missing on this machine: {0}.\nInstall with: sudo apt install {0}".format(" ".join(missing))
        )


# --- running commands ------------------------------------------------------------------------------------------


def clean_environment():
    """The caller's environment without a sourced ROS 2, another virtual environment or user packages."""
    sourced = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    environment = dict(os.environ)
    for name in ("PYTHONPATH", "PYTHONHOME", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH"):
        environment.pop(name, None)
    for name in ("VIRTUAL_ENV", "_ROS_WHEELS_BOOTSTRAP_COMPLETE"):
        environment.pop(name, None)
    libraries = environment.pop("LD_LIBRARY_PATH", "").split(os.pathsep)
    kept = [path for path in libraries if path and not any(p and path.startswith(p) for p in sourced)]
    if kept:
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(kept)
    environment["PYTHONNOUSERSITE"] = "1"
    return environment


def run(command, environment=None):
    """Run a command with its output in the log; while it takes long, say now and then what it is doing."""
    with open(LOG, "ab") as log:
        log.write(("\n$ " + " ".join(command) + "\n").encode())
        log.flush()
        start = os.fstat(log.fileno()).st_size
        done = threading.Event()
        reporter = threading.Thread(target=_report, args=(start, done))
        reporter.daemon = True
        reporter.start()
        try:
            code = subprocess.call(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment or clean_environment(),
                cwd=CHECKOUT,
            )
        finally:
            done.set()
            reporter.join()
    if code != 0:
        with open(LOG, "rb") as log:
            log.seek(start)
            raise SetupError(_explain(log.read().decode(errors="replace")))


def _report(start, done):
    began = time.time()
    while not done.wait(HEARTBEAT_S):
        with open(LOG, "rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        doing = [
            line.strip()
            for line in lines
            if re.match(r"\s*(Downloading|Collecting|Installing|Building|\[)", line)
        ]
        last = doing[-1][:90] if doing else "working"
        say(f"      {time.time() - began:4.0f} s: {last}")


def _explain(output):
    """The last lines of a failed command, and what they most likely mean."""
    noise = ("WARNING: Location", "WARNING: Retrying")
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(noise)]
    hint = ""
    if re.search(
        r"name resolution|NewConnectionError|Network is unreachable|Connection refused|timed out", output
    ):
        hint = "\nThe package index could not be reached: the first set-up needs a network connection."
    elif "No space left" in output:
        hint = "\nThe disk is full: the environment needs about 3 GB (8 GB with PyTorch's CUDA libraries)."
    elif "No matching distribution" in output:
        hint = (
            "\npip found no wheel for this Python: its index may be unreachable, or not carry that version."
        )
    return "\n".join(lines[-12:]) + hint + "\nThe whole output is in " + LOG


def pip_install(*arguments):
    run([VENV_PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *list(arguments)])


def requirements(*names):
    """pip's arguments for requirement files, with every version fixed."""
    files = ["-c", "requirements/" + CONSTRAINTS[set_for(python_version(VENV_PYTHON))]]
    for name in names:
        files += ["-r", "requirements/" + name + ".txt"]
    return files


# --- the steps -------------------------------------------------------------------------------------------------


def make_venv(python):
    if os.path.isdir(VENV):
        if not os.path.isdir(STAMPS):
            raise SetupError(
                f"{VENV} exists but was not made by this set-up.\n"
                "Remove it, or use another folder: `make VENV=.venv-hand ...`."
            )
        say(f"      the old environment in {VENV} is replaced")
        shutil.rmtree(VENV)
    os.makedirs(STAMPS)
    run([python, "-m", "venv", VENV])
    with open(os.path.join(VENV, "COLCON_IGNORE"), "w"):
        pass  # the ROS wheels bring package.xml files, which colcon would take for packages to build


def install_core():
    pip_install(*requirements("core", "teleoperation", "test"))


def store_models():
    """Store MediaPipe's hand networks from its wheel: for the user, and in the environment for other users."""
    shared = os.path.join(VENV, "share", "hand_pose_ros_data")  # SHARED_DATA of files/user_folders.py
    for_all = dict(clean_environment(), HAND_POSE_DATA=shared)
    command = [VENV_PYTHON, "-m", "hand_pose_ros", "models"]
    if os.path.isabs(os.path.expanduser("~")) or os.environ.get("HAND_POSE_DATA"):
        run(command)
        run([*command, models_folder()], for_all)
    else:  # a user without a home folder
        run(command, for_all)


def models_folder():
    """Where `hand_pose models` stores the networks."""
    data = os.environ.get("HAND_POSE_DATA")
    if not data:
        home = os.environ.get("XDG_DATA_HOME", "")
        home = home if os.path.isabs(home) else os.path.join(os.path.expanduser("~"), ".local", "share")
        data = os.path.join(home, "hand_pose_ros")
    return os.path.join(os.path.abspath(data), "mediapipe")


def models_stamp():
    """A stamp that changes when the networks are removed from the user's data folder."""
    stored = glob.glob(os.path.join(models_folder(), "*.tflite"))
    return digest("hand_pose_ros/detection/mediapipe/network_files.py") + str(sorted(stored))


def install_ros():
    pip_install(*requirements("ros"))


def install_docs():
    pip_install(*requirements("docs"))


def build_tf2_msgs():
    """Build overlay/tf2_msgs into the environment; the ROS wheels have everything else that it takes."""
    correct_exported_paths()
    environment = clean_environment()
    environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = VENV
    environment["PATH"] = os.path.join(VENV, "bin") + os.pathsep + environment["PATH"]
    build = os.path.join(STAMPS, "build_tf2_msgs")
    shutil.rmtree(build, ignore_errors=True)
    cmake = os.path.join(VENV, "bin", "cmake")
    options = ["-DCMAKE_INSTALL_PREFIX=" + VENV, "-DPython3_EXECUTABLE=" + VENV_PYTHON, "-DBUILD_TESTING=OFF"]
    run([cmake, "-S", "overlay/tf2_msgs", "-B", build, "-G", "Unix Makefiles", *options], environment)
    run([cmake, "--build", build, "--parallel", "2"], environment)
    run([cmake, "--install", build], environment)
    shutil.rmtree(build)


def correct_exported_paths():
    """Point the messages' CMake exports at this machine's folders, not those of the one that built the wheels."""
    probe = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    output = subprocess.check_output(
        [VENV_PYTHON, "-c", probe], universal_newlines=True, env=clean_environment()
    )
    python_include, numpy_include = output.splitlines()
    pattern = os.path.join(VENV, "share", "*", "cmake", "export_*__rosidl_generator_pyExport.cmake")
    for path in glob.glob(pattern):
        with open(path) as file:
            text = file.read()
        corrected = re.sub(r'/[^";$]*/include/python3\.\d+', python_include, text)
        corrected = re.sub(r'/[^";$]*/numpy/(_core|core)/include', numpy_include, corrected)
        if corrected != text:
            with open(path, "w") as file:
                file.write(corrected)


def register_package():
    """Make the checkout importable, and findable through the ament index, as an installed package would be."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.check_output(
        [VENV_PYTHON, "-c", code], universal_newlines=True, env=clean_environment()
    ).strip()
    # Paths from a .pth file come after site-packages: a stand-in can never hide the real module.
    with open(os.path.join(site, "hand_pose_ros_checkout.pth"), "w") as file:
        file.write(CHECKOUT + "\n" + os.path.join(CHECKOUT, "overlay", "python") + "\n")
    index = os.path.join(VENV, "share", "ament_index", "resource_index", "packages")
    os.makedirs(index, exist_ok=True)
    with open(os.path.join(index, "hand_pose_ros"), "w"):
        pass
    write_commands(os.path.join(VENV, "bin"), VENV_PYTHON)
    share = os.path.join(VENV, "share", "hand_pose_ros")
    if not os.path.islink(share):
        os.symlink(CHECKOUT, share)
    code = "import cv2, rclpy, sensor_msgs_py.point_cloud2, tf2_msgs.msg, tf2_ros, torch, hand_pose_ros"
    run([VENV_PYTHON, "-c", code])


def write_commands(folder, python):
    """Write the package's commands (`hand_pose`, the nodes) as setup.py declares them, as pip would."""
    with open(os.path.join(CHECKOUT, "setup.py")) as file:
        declared = re.findall(r'f"(\w+) = \{NAME\}\.([\w.]+):(\w+)"', file.read())
    for name, module, function in declared:
        command = os.path.join(folder, name)
        with open(command, "w") as file:
            # Through sh, because a path in a first line may have no space.
            file.write(f"""#!/bin/sh\n'''exec' "{python}" "$0" "$@"\n' '''\n""")
            file.write(f"from hand_pose_ros.{module} import {function}\n\n")
            # Worker processes import the file that they were started from.
            file.write(f"if __name__ == '__main__':\n    raise SystemExit({function}())\n")
        os.chmod(command, 0o755)  # noqa: S103 - a command for all users of the environment


def venv_stamp(version):
    """What an environment is made for: its Python, its set of versions, its place."""
    return f"{version} {set_for(version)} {VENV}"


def digest(*patterns):
    """A hash over the checkout's place, and over the path and content of the files that match."""
    total = hashlib.sha256(CHECKOUT.encode() + b"\n")
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(CHECKOUT, pattern), recursive=True)):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    total.update(path.encode() + file.read())
    return total.hexdigest()


def steps_for(python, version):
    """(name, what the user is told, stamp, action) of every step, in order; the argument ``docs`` adds one."""
    versions = set_for(version)
    pins = ("requirements/constraints_common.txt", "requirements/" + CONSTRAINTS[versions])
    core = digest(*pins, *("requirements/" + name + ".txt" for name in ("core", "teleoperation", "test")))
    ros = digest(*pins, "requirements/ros.txt")
    docs = digest(*pins, "requirements/docs.txt")
    optional = [("docs", "the builder of the documentation's site", docs, install_docs)]
    return [
        ("venv", "a virtual environment", venv_stamp(version), lambda: make_venv(python)),
        ("core", "PyTorch, OpenCV and the rest (the long step: minutes on a slow line)", core, install_core),
        ("ros", "ROS 2 Jazzy: rclpy, Fast DDS, messages", ros, install_ros),
        ("tf2_msgs", "tf2_msgs, built here", digest("overlay/tf2_msgs/**") + ros, build_tf2_msgs),
        (
            "package",
            "hand_pose_ros itself",
            digest("overlay/python/**/*.py", "tools/setup_environment.py", "setup.py"),
            register_package,
        ),
        (
            "models",
            "MediaPipe's hand networks, from its wheel (36 MB, not installed)",
            models_stamp(),
            store_models,
        ),
        *(optional if "docs" in sys.argv[1:] else []),
    ]


def main():
    check_machine()
    # An environment lasts as long as its interpreter and its set of versions: other ones mean a new environment.
    version = python_version(VENV_PYTHON) if os.path.exists(VENV_PYTHON) else None
    named = os.environ.get("PYTHON")
    if version not in suitable_pythons() or (named and python_version(named) != version):
        version = python_version(find_python())
    lock = os.open(os.path.join(CHECKOUT, "requirements"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, then finds all done
    if _stamp("venv") == venv_stamp(version):
        steps = [step for step in steps_for(None, version) if _stamp(step[0]) != step[2]]
    else:
        python = find_python()
        version = python_version(python)
        check_build_tools(python)
        steps = steps_for(python, version)
    if not steps:
        return
    began = time.time()
    say(
        "Setting up {} with Python {}.{} and the {} set of versions (once; later runs reuse it)".format(
            VENV, *version, set_for(version)
        )
    )
    if os.environ.get("AMENT_PREFIX_PATH"):
        say("A sourced ROS 2 is left out: this environment brings its own. With yours, use colcon (README).")
    for number, (name, what, stamp, action) in enumerate(steps, 1):
        say(f"[{number}/{len(steps)}] {what}")
        action()
        with open(os.path.join(STAMPS, name), "w") as file:
            # That of the models depends on what the step has stored.
            file.write(models_stamp() if name == "models" else stamp)
    say(f"Ready after {time.time() - began:.0f} s.")


def _stamp(name):
    try:
        with open(os.path.join(STAMPS, name)) as file:
            return file.read()
    except OSError:
        return None


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.stderr.write(f"Set-up failed: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nSet-up interrupted; the next run goes on from here.\n")
        sys.exit(130)
