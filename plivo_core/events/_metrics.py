"""``turn.metrics`` (PROTOCOL.md 9.1, no. 8): one wide message in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping

from plivo_core.events._base import AgentEvent, agent_event
from plivo_core.events._readers import Number

__all__ = ["TurnMetrics"]


@agent_event("turn.metrics")
class TurnMetrics(AgentEvent):
    """After each turn when ``metrics_events`` is on; a pipeline fills its own part.

    ``_ms`` are milliseconds, ``_s`` seconds, ``_tokens`` counts; ``turn_probability``,
    ``turn_unlikely_threshold``, ``stt_confidence`` and ``llm_cache_hit_ratio`` run from 0 to 1;
    ``speaking_rate`` is words per second. ``*_speaking_at`` is ISO 8601 text, but
    ``sdk_*_speaking_at`` and ``*_timestamp`` are numbers of an epoch that is not documented.
    """

    turn_number: Number = 0
    interrupted: bool = False
    agent_first: bool | None = None
    agent_tool_id: str | None = None
    user_text: str | None = None
    agent_text: str | None = None
    pipeline: str | None = None
    user_perceived_ms: Number | None = None
    sdk_llm_ttft_ms: Number | None = None
    sdk_tts_ttfb_ms: Number | None = None
    sdk_transcription_delay_ms: Number | None = None
    sdk_end_of_turn_delay_ms: Number | None = None
    sdk_turn_completed_callback_ms: Number | None = None
    sdk_started_speaking_at: Number | None = None
    sdk_stopped_speaking_at: Number | None = None
    stt_delay_ms: Number | None = None
    turn_decision_ms: Number | None = None
    tts_pipeline_ms: Number | None = None
    tts_gate_wait_ms: Number | None = None
    fallback_silence_ms: Number | None = None
    pause_duration_ms: Number | None = None
    on_user_turn_completed_ms: Number | None = None
    turn_completed_callback_ms: Number | None = None
    eou_speech_id: str | None = None
    turn_method: str | None = None
    turn_probability: Number | None = None
    turn_unlikely_threshold: Number | None = None
    endpointing_min_delay_ms: Number | None = None
    endpointing_max_delay_ms: Number | None = None
    vad_idle_time_s: Number | None = None
    vad_inference_count: Number | None = None
    vad_inference_duration_total_ms: Number | None = None
    vad_label: str | None = None
    llm_ttft_ms: Number | None = None
    llm_duration_ms: Number | None = None
    llm_cancelled: bool | None = None
    llm_prompt_tokens: Number | None = None
    llm_completion_tokens: Number | None = None
    llm_total_tokens: Number | None = None
    llm_tokens_per_second: Number | None = None
    llm_cache_read_tokens: Number | None = None
    llm_cache_hit_ratio: Number | None = None
    llm_model: str | None = None
    llm_provider: str | None = None
    llm_label: str | None = None
    llm_request_id: str | None = None
    llm_speech_id: str | None = None
    llm_timestamp: Number | None = None
    context_msg_count: Number | None = None
    tts_ttfb_ms: Number | None = None
    tts_audio_duration_ms: Number | None = None
    tts_duration_ms: Number | None = None
    tts_cancelled: bool | None = None
    tts_streamed: bool | None = None
    tts_characters: Number | None = None
    tts_input_tokens: Number | None = None
    tts_output_tokens: Number | None = None
    tts_provider: str | None = None
    tts_model: str | None = None
    tts_label: str | None = None
    tts_request_id: str | None = None
    tts_speech_id: str | None = None
    tts_segment_id: str | None = None
    tts_timestamp: Number | None = None
    stt_duration_ms: Number | None = None
    stt_audio_duration_ms: Number | None = None
    stt_streamed: bool | None = None
    stt_input_tokens: Number | None = None
    stt_output_tokens: Number | None = None
    stt_provider: str | None = None
    stt_confidence: Number | None = None
    stt_model: str | None = None
    stt_label: str | None = None
    stt_request_id: str | None = None
    stt_timestamp: Number | None = None
    interruption_reason: str | None = None
    interruption_total_duration_ms: Number | None = None
    interruption_prediction_ms: Number | None = None
    interruption_detection_delay_ms: Number | None = None
    num_interruptions: Number | None = None
    num_backchannels: Number | None = None
    interruption_num_requests: Number | None = None
    realtime_ttft_ms: Number | None = None
    realtime_duration_ms: Number | None = None
    realtime_session_duration_ms: Number | None = None
    realtime_cancelled: bool | None = None
    realtime_input_tokens: Number | None = None
    realtime_output_tokens: Number | None = None
    realtime_total_tokens: Number | None = None
    realtime_input_audio_tokens: Number | None = None
    realtime_input_text_tokens: Number | None = None
    realtime_input_image_tokens: Number | None = None
    realtime_output_audio_tokens: Number | None = None
    realtime_output_text_tokens: Number | None = None
    realtime_output_image_tokens: Number | None = None
    realtime_cached_tokens: Number | None = None
    realtime_cached_audio_tokens: Number | None = None
    realtime_cached_text_tokens: Number | None = None
    realtime_cached_image_tokens: Number | None = None
    realtime_tokens_per_second: Number | None = None
    realtime_cache_hit_ratio: Number | None = None
    realtime_label: str | None = None
    realtime_request_id: str | None = None
    realtime_model: str | None = None
    realtime_provider: str | None = None
    user_started_speaking_at: str | None = None
    user_stopped_speaking_at: str | None = None
    agent_started_speaking_at: str | None = None
    agent_stopped_speaking_at: str | None = None
    speaking_rate: Number | None = None
    error_source: str | None = None
    llm_availability: Mapping[str, object] | None = None
