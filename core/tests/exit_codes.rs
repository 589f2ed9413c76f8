//! How a program ends, and what it says then.

use septet_core::cli::Exit;
use septet_core::cli::testing::{Situation, TestedProgram};

fn program() -> TestedProgram {
    TestedProgram::new(env!("CARGO_BIN_EXE_exit-codes-probe"))
}

#[test]
fn exit_codes() {
    let program = program();
    program.write("numbers.txt", "1\n2\n");
    program.write("damaged.txt", "1\nx\n");
    program.write("damaged.gz", "1\n");
    program.check(&[
        (Situation::Usage, &[]),
        (Situation::Usage, &["count", "--unknown", "1"]),
        (Situation::Usage, &["count", "99999999999"]),
        (Situation::MissingData, &["sum", "absent.txt"]),
        (Situation::MissingData, &["copy", "absent/folder"]),
        (Situation::DamagedData, &["sum", "damaged.txt"]),
        (Situation::DamagedData, &["sum", "damaged.gz"]),
        (Situation::ClosedPipe, &["--help"]),
        (Situation::ClosedPipe, &["sum", "numbers.txt"]),
        (Situation::ClosedPipe, &["count", "100000"]),
        (Situation::ClosedPipe, &["write", "100000"]),
        #[cfg(unix)]
        (Situation::Interrupted, &["copy", "copy"]),
    ]);
    assert_eq!(program.prints(&["sum", "numbers.txt"]), "3\n");
    for (verdict, code) in [(&["true"][..], 0), (&["false"], 1), (&[], 2)] {
        let output = program.output(&[&["verdict"], verdict].concat());
        assert_eq!(output.status.code(), Some(code), "{verdict:?}");
    }
}

#[test]
fn a_panic_is_internal_and_a_lost_connection_no_success() {
    let program = program();
    let message = program.fails(Exit::Internal, &["panic"]);
    assert!(message.contains("as asked for"), "{message}");
    assert!(message.ends_with("error: internal error: this is a bug, please report it\n"));
    let message = program.fails(Exit::Data, &["disconnect"]);
    assert!(message.starts_with("error: "), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_no_bug() {
    let program = program();
    for arguments in [&["count", "100000"][..], &["write", "100000"], &["--help"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = program.command(arguments);
        let output = command.stdout(full.expect("Linux has it")).output();
        let output = output.expect("the program starts");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {message}");
        assert!(message.starts_with("error: "), "{arguments:?}: {message}");
    }
}

#[test]
fn messages_are_json_on_request() {
    let program = program();
    program.write("damaged.txt", "1\nx\n");
    assert_eq!(
        program.fails(Exit::Data, &["sum", "damaged.txt"]),
        "error: line 2: expected a number, found \"x\"\n"
    );
    assert_eq!(
        program.fails(Exit::Data, &["sum", "damaged.txt", "--json"]),
        "{\"error\":\"line 2: expected a number, found \\\"x\\\"\",\"exit_code\":4}\n"
    );
    let message = program.fails(Exit::Usage, &["--json", "sum"]);
    let object: serde_json::Value = serde_json::from_str(&message).expect("one object");
    assert_eq!(object["exit_code"], 3);
}

/// What is printed before and after stays, as with `program --out /dev/stdout >> file`.
#[cfg(unix)]
#[test]
fn redirected_output_is_appended_to() {
    let program = program();
    for target in ["/dev/stdout", "/dev/fd/1", "-"] {
        let path = program.write("printed.txt", "before\n");
        let printed = std::fs::OpenOptions::new().append(true).open(&path);
        let mut command = program.command(&["copy", target]);
        let input = std::fs::File::open(program.write("input.txt", "copied\n"));
        command.stdin(input.expect("readable"));
        let status = command.stdout(printed.expect("writable")).status();
        assert!(status.expect("the program starts").success());
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "before\nstarted\ncopied\n", "{target}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let program = program();
    let message = program.fails(Exit::Data, &["copy", "absent/copy"]);
    assert!(message.contains("absent/copy"), "{message}");
    assert!(!message.contains(".tmp"), "{message}");
}

#[cfg(unix)]
#[test]
fn signals_that_end_a_program_leave_no_unfinished_file() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let program = program();
        let mut command = program.command(&["copy", "copy"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // Held open to the end: `wait` would close it, and the program could finish its file first.
        let _input = child.stdin.take();
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().expect("piped"));
        printed.read_line(&mut line).expect("the program prints");
        assert_eq!(line, "started\n");
        let names = || {
            let entries = program.folder().read_dir().expect("readable");
            entries.count()
        };
        assert_eq!(names(), 1);
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let status = child.wait().expect("the program ends");
        assert_eq!(status.code(), Some(code), "{signal:?}: {status}");
        assert_eq!(names(), 0, "{signal:?}");
    }
}
