//! The report as JUnit XML, which CI systems show.

use std::{borrow::Cow, io, time::Duration};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::report::{Finding, Outcome, Report};

/// The report as JUnit XML.
pub(crate) fn xml(report: &Report) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites");
    let suites = suites.with_attributes(totals("plugin-conformance", &report.findings));
    suites.write_inner_content(|writer| {
        let mut rest = &report.findings[..];
        while let Some(first) = rest.first() {
            let group = first.rule.group();
            let size = rest.iter().take_while(|finding| finding.rule.group() == group).count();
            let (suite, others) = rest.split_at(size);
            write_suite(writer, group, suite)?;
            rest = others;
        }
        Ok(())
    })?;
    Ok(writer.into_inner())
}

type Attribute = (&'static str, Cow<'static, str>);

fn totals(name: &'static str, findings: &[Finding]) -> Vec<Attribute> {
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    vec![
        ("name", name.into()),
        ("tests", findings.len().to_string().into()),
        ("failures", count(Outcome::Fail).to_string().into()),
        ("errors", "0".into()),
        ("skipped", count(Outcome::Skip).to_string().into()),
        ("time", seconds(findings.iter().map(|finding| finding.took).sum()).into()),
    ]
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn write_suite(
    writer: &mut Writer<Vec<u8>>,
    group: &'static str,
    findings: &[Finding],
) -> io::Result<()> {
    let suite = writer.create_element("testsuite").with_attributes(totals(group, findings));
    suite.write_inner_content(|writer| {
        findings.iter().try_for_each(|finding| write_case(writer, finding))
    })?;
    Ok(())
}

fn write_case(writer: &mut Writer<Vec<u8>>, finding: &Finding) -> io::Result<()> {
    let attributes: [Attribute; 3] = [
        ("classname", format!("plugin-conformance.{}", finding.rule.group()).into()),
        ("name", finding.rule.id.into()),
        ("time", seconds(finding.took).into()),
    ];
    let case = writer.create_element("testcase").with_attributes(attributes);
    let reason = allowed(&finding.reason);
    let message = [("message", &*reason)];
    let detail = format!("{} ({})", finding.rule.sentence, finding.reference());
    match finding.outcome {
        Outcome::Pass => case.write_empty()?,
        Outcome::Fail => case.write_inner_content(|writer| {
            let failure = writer.create_element("failure").with_attributes(message);
            failure.write_text_content(BytesText::new(&detail)).map(drop)
        })?,
        Outcome::Skip => case.write_inner_content(|writer| {
            writer.create_element("skipped").with_attributes(message).write_empty().map(drop)
        })?,
        // JUnit has no warnings.
        Outcome::Warn => case.write_inner_content(|writer| {
            let warning = format!("WARN: {reason}: {detail}");
            writer
                .create_element("system-out")
                .write_text_content(BytesText::new(&warning))
                .map(drop)
        })?,
    };
    Ok(())
}

/// `text` without the characters that XML 1.0 does not allow, even escaped.
fn allowed(text: &str) -> Cow<'_, str> {
    let is_allowed = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => letter >= ' ',
    };
    if text.chars().all(is_allowed) {
        return text.into();
    }
    text.chars().map(|letter| if is_allowed(letter) { letter } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::{Reader, escape::unescape, events::Event};

    use super::*;
    use crate::{rules::RULES, verdict::failed, verdict::skipped};

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "a \"<failure>&\u{1b}[2J ]]>";
        let problems = [Err(failed(hostile)), Err(skipped(hostile)), Ok(())];
        let findings = problems
            .into_iter()
            .zip(RULES)
            .map(|(checked, rule)| Finding::of(*rule, checked, Duration::from_millis(5)));
        let report = Report {
            url: "http://127.0.0.1:1/".to_owned(),
            types: Vec::new(),
            has_task: true,
            findings: findings.collect(),
        };
        let xml = String::from_utf8(xml(&report).unwrap()).unwrap();
        assert!(!xml.contains('\u{1b}'), "{xml}");
        let mut reader = Reader::from_str(&xml);
        let mut messages = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(element) | Event::Empty(element) => {
                    if let Some(message) = element.try_get_attribute("message").unwrap() {
                        messages.push(unescape(&message.value).unwrap().into_owned());
                    }
                }
                _ => {}
            }
        }
        let expected = hostile.replace('\u{1b}', "\u{fffd}");
        assert_eq!(messages, [&*expected, &*expected]);
    }
}
