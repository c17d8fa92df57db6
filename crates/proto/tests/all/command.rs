//! Commands that are no part of a mail transaction: one line, one command, or none.

use postbound_proto::{CommandError, CustomCommand};

#[test]
fn each_command_is_its_verb_and_its_argument() {
    let shown = |command: CustomCommand| {
        assert_eq!(command.to_string(), command.as_str());
        command.to_string()
    };
    assert_eq!(shown(CustomCommand::noop()), "NOOP");
    assert_eq!(shown(CustomCommand::help()), "HELP");
    assert_eq!(
        shown(CustomCommand::help_about("MAIL").unwrap()),
        "HELP MAIL"
    );
    assert_eq!(
        shown(CustomCommand::verify("Smith J").unwrap()),
        "VRFY Smith J"
    );
    assert_eq!(shown(CustomCommand::expand("staff").unwrap()), "EXPN staff");
    assert_eq!(shown(CustomCommand::new("x-a1", "").unwrap()), "X-A1");
    assert_eq!(shown(CustomCommand::new("xa", "~ !").unwrap()), "XA ~ !");
}

#[test]
fn what_is_no_verb_or_no_argument_is_refused_with_the_reason() {
    for verb in ["", "X Y", "X\r\nQUIT", "ü"] {
        let refused = CustomCommand::new(verb, "").unwrap_err();
        assert_eq!(refused, CommandError::Verb);
        assert!(refused.to_string().contains("letters, digits and hyphens"));
    }
    let refused = CustomCommand::new("data", "x").unwrap_err();
    assert_eq!(refused, CommandError::NotAlone("DATA"));
    assert!(
        refused
            .to_string()
            .starts_with("DATA is no command by itself")
    );
    for argument in ["a\r\nQUIT", "\u{7f}", "é", "\0"] {
        let refused = CustomCommand::new("XA", argument).unwrap_err();
        assert_eq!(refused, CommandError::Argument, "{argument:?}");
    }
    for command in [
        CustomCommand::verify(" "),
        CustomCommand::expand(""),
        CustomCommand::help_about(""),
    ] {
        let refused = command.unwrap_err();
        assert!(refused.to_string().contains("not only blanks"));
    }
}

#[test]
fn a_line_has_512_octets_with_its_end_and_no_more() {
    let room = 512 - "XA \r\n".len();
    let longest = CustomCommand::new("XA", &"a".repeat(room)).unwrap();
    assert_eq!(longest.as_str().len(), 510);
    let refused = CustomCommand::new("XA", &"a".repeat(room + 1)).unwrap_err();
    assert_eq!(refused, CommandError::TooLong(513));
    assert!(refused.to_string().contains("has 513 octets"));
    assert!(CustomCommand::new(&"X".repeat(510), "").is_ok());
    assert_eq!(
        CustomCommand::new(&"X".repeat(511), ""),
        Err(CommandError::TooLong(513))
    );
}
