/**
 * The shapes of the JSON, version 1, for the type checker alone: docs/reference/watch-api.md says what they mean.
 * Nothing here runs, and nothing imports this module when the page does.
 *
 * @typedef {"starting"|"idle"|"busy"|"sending"|"hung"|"retiring"|"dying"|"zombie"} Status
 *
 * @typedef {object} Frame
 * @property {string} file
 * @property {string} shown
 * @property {number} line
 * @property {string} function
 * @property {string} source
 * @property {"own"|"library"|"stdlib"|"server"} kind
 * @property {boolean} folded
 *
 * @typedef {object} Stack
 * @property {number} id
 * @property {number[]} workers
 * @property {number} telling
 * @property {Frame[]} frames
 * @property {boolean} cut
 *
 * @typedef {object} Worker
 * @property {number} worker
 * @property {string} name
 * @property {number|null} native_id
 * @property {Status} status
 * @property {number} for
 * @property {number|null} ran_for
 * @property {number|null} serial
 * @property {string} title
 * @property {string} method
 * @property {string} path
 * @property {string} query
 * @property {string} client
 * @property {[string, string][]} request
 * @property {string} phase
 * @property {string} doing
 * @property {string} wait
 * @property {string} sentence
 * @property {string} place
 * @property {number|null} cpu_share
 * @property {number|null} stack
 * @property {number|null} unmoved_for
 * @property {number|null} served
 * @property {number|null} kill_in
 * @property {boolean} own
 * @property {boolean} can_kill
 * @property {string} kill_note
 * @property {string} [label]  with several processes: its number with the place of its process
 * @property {number} [slot]
 * @property {number} [pid]
 *
 * @typedef {object} Pool
 * @property {number} size
 * @property {number} workers
 * @property {number} max_workers
 * @property {number} hung_after
 * @property {number} kill_after
 * @property {Record<Status, number>} counts
 * @property {string} summary
 * @property {boolean} draining
 * @property {string} condemned why this process should be replaced; empty if it need not be
 *
 * @typedef {object} Group
 * @property {number} id
 * @property {string} place
 * @property {string} wait
 * @property {number[]} workers
 * @property {number|null} stack  The id of the stack that most of them have.
 *
 * @typedef {object} Waiting
 * @property {string} title
 * @property {string} method
 * @property {string} path
 * @property {string} client
 * @property {number} waited_for
 *
 * @typedef {object} Backlog
 * @property {number} length
 * @property {number|null} limit
 * @property {number} timeout
 * @property {number|null} oldest_for
 * @property {Waiting[]} waiting
 *
 * @typedef {object} Latency
 * @property {number} count
 * @property {number|null} mean
 * @property {number|null} max
 * @property {number|null} p50
 * @property {number|null} p95
 * @property {number|null} p99
 * @property {[number|null, number][]} buckets
 *
 * @typedef {object} Series
 * @property {number} interval
 * @property {number} limit
 * @property {(number|null)[]} requests
 * @property {(number|null)[]} busy
 * @property {(number|null)[]} hung
 * @property {(number|null)[]} backlog
 *
 * @typedef {object} Event
 * @property {number} id
 * @property {string} kind
 * @property {string} at
 * @property {number} ago
 * @property {number} count
 * @property {string} text
 * @property {string} detail
 * @property {number|null} worker
 * @property {number|null} serial
 * @property {string} title
 * @property {Frame[]} stack
 *
 * @typedef {object} Finished
 * @property {string} title
 * @property {string} method
 * @property {string} path
 * @property {string} client
 * @property {number} duration
 * @property {number} queued
 * @property {number} status
 * @property {string} fate
 * @property {number} worker
 * @property {number} serial
 * @property {number} ago
 *
 * @typedef {object} Process
 * @property {string} version
 * @property {string} python
 * @property {number} pid
 * @property {string} host
 * @property {string} platform
 * @property {string|null} started_at
 * @property {number|null} uptime
 * @property {number|null} memory
 * @property {number|null} memory_peak
 * @property {number|null} descriptors
 * @property {number|null} descriptor_limit
 * @property {number} threads
 * @property {number} cpu_seconds
 * @property {number|null} cpu_share
 * @property {boolean} gil
 * @property {{generation: number, tracked: number, threshold: number, collections: number, collected: number}[]} gc
 *
 * @typedef {object} OneOfSeveral
 * @property {number} slot
 * @property {number} pid
 * @property {number} serial
 * @property {number} generation
 * @property {"booting"|"ready"|"stuck"|"retiring"|"killed"} state
 * @property {string} since
 * @property {number} for
 * @property {number|null} memory
 * @property {number} requests
 * @property {number} running
 * @property {number|null} beat_ago
 * @property {string|null} silent_since
 * @property {number|null} silent_for
 * @property {string} stacks
 *
 * @typedef {object} MoldShown
 * @property {number} pid
 * @property {number} generation
 * @property {"ready"|"forking"} state
 * @property {string} since
 * @property {number} for
 * @property {number|null} memory
 *
 * @typedef {object} Flame
 * @property {boolean} running
 * @property {number} seconds
 * @property {number} left
 * @property {number} samples
 * @property {boolean} ready
 * @property {number|null} finished_ago
 * @property {string} title
 * @property {number|null} cost_share
 * @property {number[]} choices
 *
 * @typedef {object} State
 * @property {number} version
 * @property {string} kind
 * @property {string} host
 * @property {string} note
 * @property {string} taken_at
 * @property {{address: string, worker: number|null, serial: number|null, logged_in: boolean}} you
 * @property {{kill: boolean, dump: boolean, reset: boolean, flame: boolean}} actions
 * @property {{stream: boolean, poll_every: number}} transport
 * @property {OneOfSeveral[]} [processes]  with several processes
 * @property {MoldShown[]} [molds]  with several processes
 * @property {Pool} pool
 * @property {Worker[]} workers
 * @property {Group[]} groups
 * @property {Stack[]} stacks
 * @property {string} stacks_note
 * @property {Backlog} backlog
 * @property {{open: number|null, limit: number|null, spooled: number, proxy_refused: [string, number][],
 *   tls_failures: number, certificate_ends_at: string|null}} connections
 * @property {Record<"queue"|"application"|"write", Latency>} latency
 * @property {Series} series
 * @property {Event[]} events
 * @property {Finished[]} slowest
 * @property {Record<string, number|string>} totals
 * @property {Process} process
 * @property {[string, string][]} settings
 * @property {Flame} flame
 *
 * @typedef {object} View  What a section's module gives back: it brings what it drew up to date.
 * @property {(state: State) => void} show
 */
export {};
