//! Examples of the test double with other clients, in its tests: one for the users of each of lettre,
//! mail-send and async-smtp. They state facts about what a call does, as the double sees it.
