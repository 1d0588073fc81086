"""The hand_estimator node turns camera images into hands: a managed (lifecycle) node around a pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.pipeline import FramePipeline
from hand_pose_ros.ros.hand_estimator.display import HandDisplay
from hand_pose_ros.ros.hand_estimator.frame_prefix import AUTO, frame_prefix, rivals
from hand_pose_ros.ros.hand_estimator.hand_sizes import HandSizePublisher
from hand_pose_ros.ros.hand_estimator.input import CameraInput, ImageMessage
from hand_pose_ros.ros.hand_estimator.output import HandPublishers
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.hand_estimator.scale_calibration import ScaleCalibrationService
from hand_pose_ros.ros.hand_estimator.status import CameraState, EstimatorStatus
from hand_pose_ros.ros.hand_estimator.view_frame import ViewFrame
from hand_pose_ros.ros.hand_estimator.worker import NewestItemWorker
from hand_pose_ros.ros.shared.diagnostics import diagnostics_message
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.lifecycle import logged, start_by_itself, survive_impossible_transitions
from hand_pose_ros.ros.shared.parameters import changed, declare

FAILURE = TransitionCallbackReturn.FAILURE
_SAME_MOMENT_S = 5.0


class HandEstimator(LifecycleNode):
    """Models load in configure; subscriptions and the worker thread live while the node is active.

    The executor's thread only receives messages; the worker processes the newest image.
    """

    def __init__(self, create_pipeline: Callable[[HandEstimatorParameters], FramePipeline]) -> None:
        super().__init__("hand_estimator")
        survive_impossible_transitions(self, lambda: self._lifecycle)
        self._create_pipeline = create_pipeline
        self._settings = declare(self, HandEstimatorParameters)
        self._faults = FaultLog(self.get_logger())
        self._status = EstimatorStatus(self._faults)
        self._lifecycle = "unconfigured"
        self._pipeline: FramePipeline | None = None
        self._pipeline_lock = threading.Lock()
        self._output: HandPublishers | None = None
        self._worker: NewestItemWorker[ImageMessage] | None = None
        self._input: CameraInput | None = None
        self._frame_prefix, self._activated_s = "", 0.0
        self._created_s = time.monotonic()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._steady_clock = Clock(
            clock_type=ClockType.STEADY_TIME
        )  # goes on when simulated time stands still
        self._timer = self.create_timer(
            self._settings.diagnostics_period_s, self._publish_diagnostics, clock=self._steady_clock
        )
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._scale = ScaleCalibrationService(
            self, lambda: self._settings, self._hand_size_in_use, self._use_hand_size
        )
        self._sizes = HandSizePublisher(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._view: ViewFrame | None = None
        if self._settings.autostart:
            start_by_itself(self)

    # --- lifecycle ---------------------------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models; after a failure the node stays unconfigured and can be configured again."""
        began_s = time.monotonic()
        view = self._settings.view_frame
        if self._view is None or self._view.name != view:
            self._view = ViewFrame(self, view) if view else None
        try:
            self._pipeline = self._create_pipeline(self._settings)
        except Exception as error:  # libraries raise various errors for a bad model
            self._status.failed("configuration", f"the models cannot be loaded: {error}")
            return FAILURE
        self._faults.clear("configuration")
        display = HandDisplay(self, self._status.drawn, lambda text: self._status.failed("display", text))
        self._output = HandPublishers(self, display)
        self._lifecycle = "inactive"
        self.get_logger().info(f"models loaded in {time.monotonic() - began_s:.1f} s")
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to listen to the camera."""
        result = super().on_activate(state)
        self._status.start()
        self._lifecycle = "active"
        self._scale.start()
        self._worker = NewestItemWorker(self._process, "worker")
        prefix = frame_prefix(self, self._settings.frame_prefix, self._created_s)
        assert self._output is not None  # made in configure
        self._output.start(prefix)
        self._frame_prefix, self._activated_s = prefix, time.monotonic()
        self._input = CameraInput(self, self._settings, self._faults, self._on_image)
        topics = self._input.topics
        self.get_logger().info(f"images from {topics.image}, calibration from {topics.camera_info}")
        if prefix and self._settings.frame_prefix == AUTO:
            others = ", ".join(rivals(self))
            self.get_logger().info(f"the frames begin with {prefix}, since there is also {others}")
        return result

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, finish the frame in work, clear the displays."""
        self._stop()
        self._reset_tracks()
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models."""
        self._release()
        return super().on_cleanup(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End everything, from any state."""
        self._stop()
        self._release()
        self._lifecycle = "finalized"
        return super().on_shutdown(state)

    @logged
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a failed transition."""
        self._stop()
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """End the worker before the parts that it uses."""
        self._stop()
        self._release()
        super().destroy_node()

    def _stop(self) -> None:
        if self._input is not None:
            self._input.close()
        if self._worker is not None:
            self._worker.stop()
            self._worker = self._input = None
            assert self._output is not None
            self._output.stop()
            self._scale.stop()
            self._faults.clear_all()
            self._lifecycle = "inactive"

    def _release(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
        self._lifecycle = "unconfigured"

    # --- frames ------------------------------------------------------------------------------------------------

    def _on_image(self, message: ImageMessage) -> None:
        """Receive an image in the executor's thread."""
        if self._worker is not None:  # None for an image that was taken just before the subscription ended
            self._status.image_arrived(dropped=self._worker.submit(message))

    def _process(self, message: ImageMessage) -> None:
        """Process one image in the worker's thread. An error costs this frame only."""
        began_s = time.perf_counter()
        source, pipeline, output = self._input, self._pipeline, self._output
        try:
            assert source is not None  # all three are there while a worker runs
            assert pipeline is not None
            assert output is not None
            given = source.frame(message)
            if given is None:
                return
            converted_s = time.perf_counter()
            if self._view is not None:
                self._view.follow(given.header)
            with self._pipeline_lock:
                if given.restarted:
                    self._reset_tracks()
                result = pipeline.process(self._scale.with_depth(given.frame, given.stamp_ns))
            estimated_s = time.perf_counter()
        except Exception as error:  # a detector or estimator may raise anything, and must not end the node
            self._status.failed("pipeline", f"a frame was lost to {type(error).__name__}: {error}")
            return
        try:
            output.publish(result, given.header, self._settings)
            self._sizes.publish(result)
            self._scale.observe(result)
        except Exception as error:  # such as a pose that no message can hold; the worker must go on
            self._status.failed("publication", f"a frame was not published: {type(error).__name__}: {error}")
            return
        self._faults.clear("pipeline", "publication")
        if result.degraded:
            self._faults.report("gpu", result.degraded, DiagnosticStatus.WARN, logged=True)
        published_s = time.perf_counter()
        seconds = {
            "convert": converted_s - began_s,
            **result.stage_seconds,
            "publish": published_s - estimated_s,
            "total": published_s - began_s,
        }
        if given.stamp_ns and not self._clock_stands_still():
            seconds["stamp to publication"] = (self.get_clock().now().nanoseconds - given.stamp_ns) * 1e-9
        camera = given.frame.camera
        kind = getattr(message, "encoding", None) or getattr(message, "format", "")
        self._status.frame_done(result, seconds, f"{camera.width}x{camera.height} {kind}")

    def _reset_tracks(self) -> None:
        """Reset all tracks. Call it only while the worker waits for the lock or does not exist."""
        assert self._pipeline is not None
        assert self._output is not None
        self._pipeline.reset()
        self._output.reset()

    # --- services, parameters, diagnostics ---------------------------------------------------------------------

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline is None:
            response.message = "the node is not configured"
            return response
        with self._pipeline_lock:
            self._reset_tracks()
        response.success = True
        response.message = "all tracks were reset"
        return response

    def _hand_size_in_use(self) -> HandSize | None:
        """The size of all hands; raises RuntimeError while the node is not active."""
        if self._pipeline is None or self._worker is None:
            raise RuntimeError("the node is not active: it sees no hand")
        return self._pipeline.hand_size

    def _use_hand_size(self, size: HandSize) -> None:
        """Take a measured size into use; raises RuntimeError if the node was cleaned up meanwhile."""
        if self._pipeline is None:
            raise RuntimeError("the node was cleaned up while the hand was measured")
        with self._pipeline_lock:
            self._pipeline.set_hand_size(size)

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            self._settings = changed(self._settings, changes, self._lifecycle == "unconfigured")
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._timer.timer_period_ns = round(self._settings.diagnostics_period_s * 1e9)
        return SetParametersResult(successful=True)

    def _clock_stands_still(self) -> bool:
        """Whether simulated time is asked for, but no /clock has come."""
        return bool(self.get_parameter("use_sim_time").value) and self.get_clock().now().nanoseconds == 0

    def _check_graph(self) -> None:
        """Report what other nodes do wrong, or fail to do."""
        if self._clock_stands_still():
            self._faults.report(
                "clock", "use_sim_time is true, but nothing has come on /clock", DiagnosticStatus.WARN
            )
        else:
            self._faults.clear("clock")
        # Another estimator that was activated in the same moment did not see this one.
        if self._lifecycle == "active" and not self._frame_prefix and self._settings.publish_tf != "none":
            if time.monotonic() - self._activated_s > _SAME_MOMENT_S:
                return
            others = [one for one in rivals(self, only_active=True) if one < self.get_fully_qualified_name()]
            if others:
                self._faults.report(
                    "frames",
                    f"{', '.join(others)} may broadcast the same frames as this node: set frame_prefix",
                    DiagnosticStatus.WARN,
                )

    def _publish_diagnostics(self) -> None:
        self._check_graph()
        camera = None
        if self._input is not None:
            topics = self._input.topics
            camera = CameraState(topics, self._input.camera)
            age_s = self._status.image_age_s
            if age_s > self._settings.image_timeout_s:
                self._faults.report(
                    "no_images",
                    f"no image on {topics.image} for {age_s:.1f} s: {self._input.why_nothing_comes()}",
                )
        name = self.get_fully_qualified_name().lstrip("/")
        statuses = self._status.statuses(name, self._lifecycle, camera)
        self._diagnostics.publish(diagnostics_message(statuses, self.get_clock().now().to_msg()))
