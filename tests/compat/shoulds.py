"""
Every SHOULD of RFC 9110, RFC 9112 and PEP 3333 that concerns a server, in the order of the documents.

Left out are those for clients, proxies and caches, those for authors of new fields and methods, and "ought to". Each
row says which test shows that we do it, or why we do not. ``test_shoulds`` checks the table.
"""

from __future__ import annotations

from typing import NamedTuple


class Should(NamedTuple):
    """
    ``source``: RFC and section, or PEP and heading. ``says``: in short, in our words. ``test``: ``file::function`` or
    ``file::function[name of a case in the corpus]``. ``not_because``: the reason, if we do not do it or only in part.
    """

    source: str
    says: str
    test: str = ""
    not_because: str = ""


APPLICATION = "It is about resources and representations. The application has them; the server sends what it says."
NEVER_SENT = "We never generate one."
CORPUS = "tests/http1/test_corpus.py::test_invalid_message_is_refused_alike_however_it_arrives"
REFUSED = "tests/server/test_refusals.py::test_broken_request_is_refused"

RFC_9110 = (
    Should("RFC 9110 2.4", "parse defensively", "tests/http1/fuzz/test_fuzz.py::test_no_bytes_raise_anything_but_a_refusal"),
    Should("RFC 9110 4.1", "take a URI of 8000 bytes", "tests/http1/test_limits.py::test_default_limits_are_those_of_the_rfc"),
    Should("RFC 9110 4.2.3", "do not name two resources by equivalent URIs", not_because=APPLICATION),
    Should("RFC 9110 4.2.4", "treat userinfo in a URI as an error", f"{CORPUS}[072-absolute-form-with-user]"),
    Should("RFC 9110 5.1", "ignore fields that are not known", "tests/wsgi/test_environ.py::test_fields_become_keys"),
    Should("RFC 9110 5.5", "take bytes above 127 in a value as they are",
           "tests/wsgi/test_environ.py::test_bytes_of_a_field_are_latin_1"),
    Should("RFC 9110 5.6.3", "generate one blank where white space is optional or required",
           "tests/http1/test_response.py::test_head_is_rendered"),
    Should("RFC 9110 5.6.4", "generate no needless quoted-pair", not_because=NEVER_SENT),
    Should("RFC 9110 6.2", "answer in the highest version of ours within the client's major version",
           "tests/wsgi/test_content.py::test_http_1_0_client_is_told_the_server_s_version"),
    Should("RFC 9110 6.2", "take an unknown minor version for our highest one",
           not_because="The parser knows 1.0 and 1.1 alone. There is no other minor version, and there will be none: what"
           " names one is a mistake or a probe, and is answered 505."),
    Should("RFC 9110 6.5.1", "generate no trailer field that the client needs", not_because=NEVER_SENT),
    Should("RFC 9110 6.6.1", "date a message as well as possible",
           "tests/runtime/http/test_date_header.py::test_date_changes_with_the_wall_clocks_second_and_is_not_rendered_more_often"),
    Should("RFC 9110 6.6.2", "announce trailer fields", not_because=NEVER_SENT),
    Should("RFC 9110 7.8", "compare names of protocols without case",
           not_because="No other protocol is spoken, and an Upgrade may be ignored."),
    Should("RFC 9110 8.3", "send Content-Type with content, where it is known: our own answers", REFUSED),
    Should("RFC 9110 8.3, 8.4, 8.8", "Content-Type of an application's content, content codings, validators",
           not_because=APPLICATION),
    Should("RFC 9110 8.6", "send Content-Length if the size is known before the head is complete",
           "tests/wsgi/test_content.py::test_list_is_sent_in_one_piece_with_its_length"),
    Should("RFC 9110 9.1", "answer 501 to a method that is not known, 405 to one that is not allowed",
           not_because=f"{APPLICATION} CONNECT and methods longer than 32 bytes are 501."),
    Should("RFC 9110 9.3.1, 9.3.2, 9.3.5", "do not rely on content of GET, HEAD and DELETE", not_because=APPLICATION),
    Should("RFC 9110 9.3.2", "send the fields with HEAD that GET would have",
           "tests/wsgi/test_content.py::test_head_is_answered_like_get_but_for_the_content"),
    Should("RFC 9110 9.3.3, 9.3.4, 9.3.5", "statuses and checks of POST, PUT and DELETE", not_because=APPLICATION),
    Should("RFC 9110 9.3.7", "name in the answer to OPTIONS what is optional (Allow)",
           not_because=f"{APPLICATION} The answer to OPTIONS * names no method, because applications differ in them."),
    Should("RFC 9110 9.3.8", "reflect a TRACE, without sensitive fields",
           not_because=f"{APPLICATION} A server that reflects requests shows cookies to scripts."),
    Should("RFC 9110 10.1.1", "say whether the connection closes, if a final answer comes before the content was read",
           "tests/server/test_conversation.py::test_refused_expectation_ends_before_the_content"),
    Should("RFC 9110 10.1.2", "do not authenticate by From", not_because=APPLICATION),
    Should("RFC 9110 10.2.3", "say with Retry-After how long to wait (RFC 9110 15.6.4)",
           "tests/server/test_overload.py::test_request_beyond_queue_limit_is_refused_at_once"),
    Should("RFC 9110 10.2.4", "no needless detail in Server", REFUSED),
    Should("RFC 9110 11.6.1", "answer 401 with a challenge: the page of the threads",
           "tests/watch/test_application.py::test_token_is_asked_for_and_kept_as_a_cookie"),
    Should("RFC 9110 11, 12, 13, 14", "authentication, negotiation, conditions and ranges of an application",
           not_because=APPLICATION),
    Should("RFC 9110 15.3, 15.4", "fields and content that go with statuses 2xx and 3xx", not_because=APPLICATION),
    Should("RFC 9110 15.4.5", "send no needless metadata with 304",
           not_because=f"{APPLICATION} But a Content-Length of 0 is dropped from a 304, since it would be wrong."),
    Should("RFC 9110 15.5", "explain the error in an answer 4xx", REFUSED),
    Should("RFC 9110 15.5.14", "send Retry-After with 413 if the condition is temporary",
           not_because="It is not temporary: the limits are options."),
    Should("RFC 9110 15.6", "explain the error in an answer 5xx",
           "tests/server/test_refused_by_us.py::test_fault_before_the_first_byte_costs_no_connection"),
    Should("RFC 9110 15.6.2", "501 for what is not implemented", f"{CORPUS}[076-connect]"),
    Should("RFC 9110 15.6.6", "say in a 505 which versions are spoken",
           "tests/http1/test_engine.py::test_505_says_what_is_spoken"),
)  # fmt: skip

RFC_9112 = (
    Should("RFC 9112 2.2", "skip an empty line before a request",
           "tests/http1/test_corpus.py::test_valid_message_is_read_alike_however_it_arrives[062-blank-lines-ahead]"),
    Should("RFC 9112 2.2", "answer 400 to what is not HTTP, and close", f"{CORPUS}[091-garbage]"),
    Should("RFC 9112 2.3", "do not answer in a lower version unless the client is known to need it",
           "tests/wsgi/test_content.py::test_http_1_0_client_is_told_the_server_s_version"),
    Should("RFC 9112 3", "take a request line of 8000 bytes",
           "tests/http1/test_limits.py::test_default_limits_are_those_of_the_rfc"),
    Should("RFC 9112 3.1", "answer 501 to a method that is too long", f"{CORPUS}[137-method-of-33-bytes]"),
    Should("RFC 9112 3.2", "answer 400 to an invalid request line, and do not correct it", f"{CORPUS}[083-target-with-space]"),
    Should("RFC 9112 6.1", "answer 501 to a transfer coding that is not known", f"{CORPUS}[020-coding-gzip-chunked]"),
    Should("RFC 9112 6.3", "answer with a known length or in chunks, where possible",
           "tests/wsgi/test_content.py::test_framing"),
    Should("RFC 9112 7.1.1", "take white space around the ; of a chunk extension (a MUST)",
           "tests/http1/test_chunk_lines.py::test_extension_changes_nothing"),
    Should("RFC 9112 7.1.1", "refuse a malformed chunk extension",
           "tests/http1/test_chunk_lines.py::test_malformed_extension_is_refused"),
    Should("RFC 9112 7.1.1", "limit the length of chunk extensions",
           "tests/http1/test_limits.py::test_extensions_of_one_chunk_have_a_limit"),
    Should("RFC 9112 9.3", "keep connections", "tests/server/test_conversation.py::test_keep_alive_is_the_default_of_http_1_1"),
    Should("RFC 9112 9.5", "close gracefully after a timeout",
           "tests/server/test_refusals.py::test_idle_connection_ends_after_keep_alive_timeout"),
    Should("RFC 9112 9.5", "notice that the other side has closed",
           "tests/server/test_overload.py::test_client_that_goes_while_it_waits_is_dropped"),
    Should("RFC 9112 9.5", "let flow control resolve an overload, and do not close",
           "tests/server/test_content.py::test_slow_reader_of_pieces_below_the_watermark_frees_its_worker"),
    Should("RFC 9112 9.6", "send close before closing", "tests/wsgi/test_content.py::test_draining_server_closes"),
    Should("RFC 9112 9.6", "send close in the last answer to a client that asked for it",
           "tests/server/test_conversation.py::test_connection_close_is_obeyed"),
    Should("RFC 9112 9.8", "expect an incomplete close of TLS",
           "tests/server/test_tls.py::test_a_client_that_closes_without_a_word_of_tls_is_no_error"),
)  # fmt: skip

PEP_3333 = (
    Should("PEP 3333 Specification Details", "do not change line endings",
           "tests/server/test_content.py::test_5_mb_come_back_byte_for_byte"),
    Should("PEP 3333 environ Variables", "as many variables of CGI as apply",
           "tests/server/test_environ.py::test_keys_of_cgi_and_wsgi"),
    Should("PEP 3333 environ Variables", "the variables of Apache's SSL",
           "tests/server/test_tls.py::test_the_application_is_told"),
    Should("PEP 3333 environ Variables", "document the variables",
           "tests/compat/test_shoulds.py::test_every_key_of_the_environ_is_documented"),
    Should("PEP 3333 environ Variables", "leave out what is not known",
           "tests/compat/test_shoulds.py::test_unknown_keys_are_left_out"),
    Should("PEP 3333 environ Variables", "take any text in wsgi.errors",
           "tests/compat/test_shoulds.py::test_errors_take_any_text"),
    Should("PEP 3333 environ Variables", "document where wsgi.errors goes",
           "tests/compat/test_shoulds.py::test_every_key_of_the_environ_is_documented"),
    Should("PEP 3333 environ Variables", "wsgi.multithread is false if no other thread can call the application",
           not_because="It is always true. Even a pool of one worker replaces one that is killed, and the old call may still"
           " run then."),
    Should("PEP 3333 environ Variables", "names of our own keys in small letters, with our name before them",
           "tests/compat/test_shoulds.py::test_every_key_of_the_environ_is_documented"),
    Should("PEP 3333 Input and Error Streams", "end the input where the content ends",
           "tests/wsgi/test_input.py::test_input_is_bounded"),
    Should("PEP 3333 Input and Error Streams", "read() without a size",
           "tests/server/test_content.py::test_input_has_every_way_to_read_of_a_file"),
    Should("PEP 3333 Input and Error Streams", "empty bytes from an input at its end",
           "tests/wsgi/test_input.py::test_input_without_content_is_at_its_end"),
    Should("PEP 3333 Input and Error Streams", "readline() with a size",
           "tests/server/test_content.py::test_input_has_every_way_to_read_of_a_file"),
    Should("PEP 3333 The start_response() Callable", "refuse hop-by-hop fields",
           "tests/http1/test_response.py::test_hop_by_hop_field_is_refused"),
    Should("PEP 3333 The start_response() Callable", "check the fields while the application still runs",
           "tests/wsgi/test_start_response.py::test_refused_head_may_be_replaced_by_another"),
    Should("PEP 3333 The start_response() Callable", "let exc_info replace a head that was not sent",
           "tests/wsgi/test_start_response.py::test_exc_info_before_the_first_byte_replaces_the_head"),
    Should("PEP 3333 The start_response() Callable", "raise exc_info again behind a head that was sent",
           "tests/wsgi/test_start_response.py::test_exc_info_after_the_first_byte_raises_it_again"),
    Should("PEP 3333 The start_response() Callable", "keep no reference to exc_info",
           "tests/compat/test_shoulds.py::test_no_reference_to_exc_info_is_kept"),
    Should("PEP 3333 Handling the Content-Length Header", "send no more bytes than announced",
           "tests/wsgi/test_content.py::test_no_byte_beyond_content_length_is_sent"),
    Should("PEP 3333 Handling the Content-Length Header", "stop iterating when enough was sent",
           "tests/wsgi/test_close.py::test_empty_pieces_behind_content_of_a_known_length_end_soon"),
    Should("PEP 3333 Handling the Content-Length Header", "raise in write() beyond that point",
           "tests/wsgi/test_content.py::test_no_byte_beyond_content_length_is_written"),
    Should("PEP 3333 Handling the Content-Length Header", "close and report if less comes than announced",
           "tests/wsgi/test_content.py::test_content_short_of_content_length_is_reported"),
    Should("PEP 3333 Error Handling", "catch and log what ends an application",
           "tests/server/test_refused_by_us.py::test_fault_before_the_first_byte_costs_no_connection"),
    Should("PEP 3333 Other HTTP Features", "leave the output to the application",
           "tests/wsgi/test_start_response.py::test_date_and_server_of_the_application_stand"),
    Should("PEP 3333 Thread Support", "offer to run one call at a time",
           "tests/compat/test_shoulds.py::test_one_call_at_a_time"),
    Should("PEP 3333 Application Configuration", "let name-value pairs be put into environ",
           not_because="Paste Deploy gives the options of its section to the application's factory, which is better: they"
           " are checked when the server starts."),
)  # fmt: skip

TABLE = RFC_9110 + RFC_9112 + PEP_3333
