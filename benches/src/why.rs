//! What keeps a row from its target, each found by a profile (docs/PERFORMANCE.md has them).

/// Allocations that the caller would get if nothing were shared and no reply short: four replies, the
/// recipients and one path, the endpoint's name, and the acceptance around them.
pub(crate) const RECEIPT: f64 = 8.0;
pub(crate) const WHY_STEP: &str = "compared is what the guard adds to each of 25 steps of one call: the token is asked once, and whether there is a result is looked up before and behind each step, which is what lets one turn serve a whole call";
pub(crate) const WHY_PENDING: &str = "the token is asked at each wake-up, which takes its lock, and the timer at each Pending, 25 ns on a step that does nothing else; a step that waits for a socket costs thousands, see the rows of a whole message";
pub(crate) const WHY_INSTRUCTIONS: &str = "no single part stands out: the session 4,500, the client and its guard 2,900, the looks at the message 2,400, the clock and the timer 2,700, allocation 1,100, the scheduler 1,000, copies 600 (docs/PERFORMANCE.md has the table)";
pub(crate) const WHY_INSTRUCTIONS_64: &str = "three quarters are three looks at all octets: for SIZE, for 8BITMIME, and one that lets no bare CR or LF and no unstuffed dot leave; without `unsafe` they are compiled for 16 octets at a time, and a search that only finds dots would not do";
pub(crate) const WHY_GUARD: &str = "some 530 instructions a call and next to none a step, four fifths of them tokio's own for the token: four questions, and the list of those that it wakes; kernel and user space execute some 50,000 for a message over a socket";
pub(crate) const WHY_CALLS: &str =
    "see the row of round trips: each costs a write, a wait and a read";
pub(crate) const WHY_ALLOCATIONS: &str = "beyond the receipt: the queue of expected replies, the commands, the transaction and the timer, which an idle connection gives back so that it holds no buffers";
pub(crate) const WHY_WINDOW: &str = "each message is looked at, encoded and copied into the group, and has four or five replies of which all are kept for its receipt; the raw program says the same octets again and looks at the first digit of each reply";
pub(crate) const WHY_SEND: &str = "three quarters of the client's processor time is the kernel's, for the same calls as the raw program's on tokio; of the quarter in user space tokio and the clock have nearly half, the session and the client two fifths (docs/PERFORMANCE.md has the profile)";
pub(crate) const WHY_SEND_ALL: &str = "two thirds of the client's processor time is the kernel's; of the third in user space the session and the client have two fifths, tokio and the clock as much, allocation, copies and looks at the octets the rest (docs/PERFORMANCE.md has the profile)";
pub(crate) const WHY_NOISE: &str = "the two differ by some 530 instructions of the 50,000 or so that kernel and user space execute for a message: less than rounds differ from each other";
pub(crate) const WHY_LARGE: &str = "the message is looked at before the kernel copies it, at 13 GiB/s for all looks together, and it does not fit into the processor's caches";
pub(crate) const WHY_ENCODER: &str = "every CR and LF is looked at, not only those before a dot; the limit shown is a search for dots alone, which would let a bare LF leave";
pub(crate) const WHY_REPLY: &str =
    "a third of it is the copy that keeps the reply as it came, which the receipt owes its caller";
pub(crate) const WHY_SIMULATION: &str = "a case is the whole client and the whole strict server with its ledger, not a stub; see docs/PERFORMANCE.md for where its time goes";
pub(crate) const WHY_HEAP: &str = "8.5 KiB are rustls's and tokio-rustls's, among them a buffer of 4 KiB that is kept and the server's certificates; besides there are the 0.7 KiB of a plain one";
pub(crate) const WHY_SOURCE: &str = "on one processor a wait for the other side costs a switch and no more, so that half the round trips gain less than on a link";
