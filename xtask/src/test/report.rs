//! Reads the results out of what `cargo test` prints, and tells them as one table.

use std::fmt;

/// What is known of the run so far.
#[derive(Debug, Default)]
pub struct Report {
    suites: Vec<Suite>,
    failed_tests: Vec<String>,
    failed_steps: Vec<String>,
    expects_tests: bool,
}

#[derive(Debug)]
struct Suite {
    name: String,
    counts: Option<Counts>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Report {
    /// Tests are about to run; from here on their absence is a failure.
    pub fn expects_tests(&mut self) {
        self.expects_tests = true;
    }

    /// Takes in one line of the output of `cargo test`.
    pub fn read(&mut self, line: &str) {
        let line = without_colours(line);
        if let Some(name) = suite_name(line.trim_start()) {
            self.close_suite();
            self.suites.push(Suite { name, counts: None });
        } else if let Some(counts) = line.strip_prefix("test result: ").and_then(Counts::parse) {
            if let Some(suite) = self.suites.last_mut() {
                suite.counts = Some(counts);
            }
        } else if let Some(test) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            let suite = self.suites.last().map(|suite| suite.name.as_str()).unwrap_or_default();
            self.failed_tests.push(format!("{suite}: {}", test.trim_end()));
        }
    }

    /// The suite that is running has ended; without a result it did not end well.
    pub fn close_suite(&mut self) {
        if let Some(suite) = self.suites.last_mut().filter(|suite| suite.counts.is_none()) {
            suite.counts = Some(Counts { failed: 1, ..Counts::default() });
            self.failed_tests.push(format!("{}: ended without a result", suite.name));
        }
    }

    /// A step failed for a reason the tests do not show.
    pub fn fail_step(&mut self, reason: String) {
        self.failed_steps.push(reason);
    }

    /// Whether a test has failed.
    pub fn has_failures(&self) -> bool {
        self.total().failed > 0
    }

    /// Whether everything ran and passed.
    pub fn is_good(&self) -> bool {
        self.problems().is_empty() && !self.has_failures()
    }

    fn total(&self) -> Counts {
        self.suites.iter().filter_map(|suite| suite.counts).fold(Counts::default(), |sum, counts| Counts {
            passed: sum.passed + counts.passed,
            failed: sum.failed + counts.failed,
            ignored: sum.ignored + counts.ignored,
        })
    }

    /// What is wrong beside failed tests; each counts as one failure.
    fn problems(&self) -> Vec<String> {
        let mut problems = self.failed_steps.clone();
        let total = self.total();
        if total.ignored > 0 {
            problems.push(format!("{} tests were ignored: a test that does not run is no test", total.ignored));
        }
        if self.expects_tests && problems.is_empty() && total == Counts::default() {
            problems.push("no test ran".to_owned());
        }
        problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.suites.iter().filter_map(|suite| Some((&suite.name, suite.counts?)));
        let shown: Vec<_> = shown.filter(|(_, counts)| *counts != Counts::default()).collect();
        let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(5);
        writeln!(f)?;
        if !shown.is_empty() {
            writeln!(f, "{:width$}  passed  failed  ignored", "suite")?;
        }
        for (name, counts) in shown {
            let Counts { passed, failed, ignored } = counts;
            writeln!(f, "{name:width$}  {passed:6}  {failed:6}  {ignored:7}")?;
        }
        for test in &self.failed_tests {
            writeln!(f, "failed: {test}")?;
        }
        let problems = self.problems();
        for problem in &problems {
            writeln!(f, "failed: {problem}")?;
        }
        let total = self.total();
        writeln!(f, "{} passed, {} failed", total.passed, total.failed + problems.len())
    }
}

impl Counts {
    /// `ok. 3 passed; 0 failed; 1 ignored; …`
    fn parse(result: &str) -> Option<Self> {
        let (_, counts) = result.split_once(". ")?;
        let count = |what: &str| {
            let number = counts.split("; ").find_map(|part| part.trim().strip_suffix(what))?;
            number.trim().parse::<usize>().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
    }
}

/// `Running tests/mail.rs (target/debug/deps/mail-0123456789abcdef)` or `Doc-tests dealwright`.
fn suite_name(line: &str) -> Option<String> {
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{package} documentation"));
    }
    let (source, program) = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let file = program.rsplit('/').next()?;
    let (name, hash) = file.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| format!("{name} {}", source.strip_prefix("unittests ").unwrap_or(source)))
}

/// The line without the escape sequences that colour it.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::Report;

    fn read(lines: &str) -> Report {
        let mut report = Report::default();
        report.expects_tests();
        lines.lines().for_each(|line| report.read(line));
        report.close_suite();
        report
    }

    fn last_line(report: &Report) -> String {
        report.to_string().lines().last().unwrap_or_default().to_owned()
    }

    const GOOD: &str = "\
     Running unittests src/lib.rs (target/debug/deps/dealwright-0123456789abcdef)
test env::tests::ids_sort ... ok
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m tests/mail.rs (/x/debug/deps/mail-0123456789abcdef)
test result: \u{1b}[32mok\u{1b}[m. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
   Doc-tests dealwright
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn counts_of_all_suites_are_added_up() {
        let report = read(GOOD);
        assert!(report.is_good());
        assert_eq!(last_line(&report), "18 passed, 0 failed");
        let table = report.to_string();
        for suite in ["dealwright src/lib.rs", "mail tests/mail.rs", "dealwright documentation"] {
            assert!(table.contains(suite), "{table}");
        }
    }

    #[test]
    fn a_failed_test_is_named() {
        let report = read(
            "     Running tests/mail.rs (target/debug/deps/mail-0123456789abcdef)\ntest a_letter_arrives ... FAILED\n\
             test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        );
        assert!(!report.is_good());
        assert!(report.to_string().contains("failed: mail tests/mail.rs: a_letter_arrives"), "{report}");
        assert_eq!(last_line(&report), "4 passed, 1 failed");
    }

    #[test]
    fn an_ignored_test_fails_the_run() {
        let report = read(&GOOD.replace("5 passed; 0 failed; 0 ignored", "5 passed; 0 failed; 2 ignored"));
        assert!(!report.is_good());
        assert_eq!(last_line(&report), "18 passed, 1 failed");
    }

    #[test]
    fn a_suite_that_ends_without_a_result_has_failed() {
        let report = read(&format!("{GOOD}     Running tests/crash.rs (target/debug/deps/crash-0123456789abcdef)\n"));
        assert!(!report.is_good());
        assert!(report.to_string().contains("crash tests/crash.rs: ended without a result"), "{report}");
        assert_eq!(last_line(&report), "18 passed, 1 failed");
    }

    #[test]
    fn a_run_without_tests_fails() {
        let report = read("    Finished `test` profile in 0.1s");
        assert!(!report.is_good());
        assert_eq!(last_line(&report), "0 passed, 1 failed");
    }

    #[test]
    fn a_failed_check_is_a_failure_of_its_own() {
        let mut report = Report::default();
        assert!(report.is_good(), "`--only fmt` needs no tests");
        report.fail_step("`cargo fmt --all --check` failed".to_owned());
        assert!(!report.is_good());
        assert_eq!(last_line(&report), "0 passed, 1 failed");
    }
}
