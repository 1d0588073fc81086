"""The interface of a node as data: its topics, services and parameters. Imports neither ROS nor PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Endpoint(NamedTuple):
    """A topic or a service.

    name: relative names get the node's namespace; '{left,right}/joints' stands for two.
    kind: its type, 'sensor_msgs/Image'.
    """

    name: str
    kind: str
    description: str


@dataclass(frozen=True)
class NodeInterface:
    """The parts of a node that its user meets.

    name: of the executable and of the node. summary: a sentence on its purpose.
    parameters: its options, a subclass of ``Options``, as 'module:class', which is imported for the help only.
    parameter_file: file of the share folder with every parameter; empty if there is none.
    page: page of the documentation that describes it.
    """

    name: str
    summary: str
    parameters: str
    subscribed: tuple[Endpoint, ...] = ()
    published: tuple[Endpoint, ...] = ()
    services: tuple[Endpoint, ...] = ()
    parameter_file: str = ""
    page: str = ""
