//! The commands of the README do what it says.

use std::path::Path;
use std::process::Command;

#[test]
fn the_deployment_in_the_shell_runs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    // The block after the installation, which installs what the test has built.
    let blocks: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .filter(|block| !block.starts_with("cargo"))
        .collect();
    assert_eq!(blocks.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_robust-stats"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("sh")
        .args(["-e", "-c", blocks[0]])
        .env("PATH", path)
        .current_dir(&folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    println!("{text}{errors}");
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors, "");
    // Half of the users hold red, a third blue and a sixth cyan.
    let csv = std::fs::read_to_string(folder.path().join("estimates.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("symbol,mass,standard_error"));
    for (name, expected) in [
        ("red", 0.5),
        ("green", 0.0),
        ("blue", 1.0 / 3.0),
        ("cyan", 1.0 / 6.0),
        ("magenta", 0.0),
        ("yellow", 0.0),
    ] {
        let cells: Vec<&str> = lines.next().unwrap().split(',').collect();
        let (mass, error): (f64, f64) = (cells[1].parse().unwrap(), cells[2].parse().unwrap());
        assert_eq!(cells[0], name);
        assert!((mass - expected).abs() < 6.0 * error, "{csv}");
    }
    assert!(text.contains("manipulation bound"), "{text}");
}
