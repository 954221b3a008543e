"""Which tools a call offers: the function's, the configured, and those the request brings."""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.config.function import FunctionConfig
from tensorzero.types.errors import DuplicateTool, InvalidRequest, ToolNotFound
from tensorzero.types.tools import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    ProviderTool,
    ToolCallConfig,
    ToolChoice,
)


def prepare_tools(
    function: FunctionConfig,
    configured: Mapping[str, FunctionTool],
    *,
    allowed: tuple[str, ...] | None,
    additional: tuple[FunctionTool | CustomTool, ...] | None,
    tool_choice: ToolChoice | None,
    parallel_tool_calls: bool | None,
    provider_tools: tuple[ProviderTool, ...],
) -> ToolCallConfig | None:
    """The tool configuration of a call, ``None`` when it offers no tool.

    Raises ``ToolNotFound``, ``DuplicateTool``, and ``InvalidRequest`` for tool fields on a json
    function.
    """
    if function.type == "json":
        for name, value in (
            ("allowed_tools", allowed),
            ("additional_tools", additional),
            ("tool_choice", tool_choice),
            ("parallel_tool_calls", parallel_tool_calls),
        ):
            if value is not None:
                raise InvalidRequest(f"`{name}` is not available for json functions")
        return None
    if not function.tools and allowed is None and not additional and not provider_tools:
        return None
    dynamic = tuple(tool for tool in additional or () if isinstance(tool, FunctionTool))
    custom = tuple(tool for tool in additional or () if isinstance(tool, CustomTool))
    own_keys = tuple(tool.key for tool in function.tools)
    added_names = tuple(tool.name for tool in additional or ())
    if allowed is None:
        allowed_tools = AllowedTools(own_keys + added_names, "function_default")
    else:
        allowed_tools = AllowedTools(allowed, "explicit")
    static = list(function.tools)
    for key in allowed_tools.tools:
        if key in added_names or key in own_keys:
            continue
        tool = configured.get(key)
        if tool is None:
            raise ToolNotFound(key)
        if tool not in static:
            static.append(tool)
    offered = [tool.name for tool in (*static, *dynamic)] + [tool.name for tool in custom]
    seen: set[str] = set()
    for name in offered:
        if name in seen:
            raise DuplicateTool(name)
        seen.add(name)
    if not offered and not provider_tools:
        return None
    choice = function.tool_choice if tool_choice is None else tool_choice
    if isinstance(choice, dict) and choice["specific"] not in seen:
        raise ToolNotFound(choice["specific"])
    return ToolCallConfig(
        static_tools=tuple(static),
        dynamic_tools=dynamic,
        custom_tools=custom,
        provider_tools=provider_tools,
        tool_choice=choice,
        parallel_tool_calls=(
            function.parallel_tool_calls if parallel_tool_calls is None else parallel_tool_calls
        ),
        allowed_tools=allowed_tools,
    )
