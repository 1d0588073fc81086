"""``python -m hand_pose_ros``: the ``hand_pose`` command."""

from hand_pose_ros.command import main

if __name__ == "__main__":
    raise SystemExit(main())
