//! Queries, and how they are read; wrong ones, and what is said.

use super::*;
use crate::search::field::Span;
use crate::search::query::syntax::Leaf;

fn fields() -> Vec<Field> {
    let read = |text: &str| text.parse().ok().map(Span::of);
    let kinds = [
        ("title", FieldKind::Text(None)),
        ("code", FieldKind::Keyword),
        ("Odd Name", FieldKind::Text(None)),
        (
            "count",
            FieldKind::Whole {
                is_wide: false,
                read: std::sync::Arc::new(read),
            },
        ),
        ("price", FieldKind::Float { is_single: false }),
    ];
    kinds
        .map(|(name, kind)| Field {
            name: name.to_owned(),
            kind,
        })
        .to_vec()
}

fn shown(node: &Node) -> String {
    fn bound<T: std::fmt::Display>(end: &Option<End<T>>) -> String {
        match end {
            None => "*".to_owned(),
            Some(End { value, is_included }) => format!("{}{value}", if *is_included { "=" } else { "" }),
        }
    }
    match node {
        Node::All => "all".to_owned(),
        Node::Present(field) => format!("{field}:*"),
        Node::Weighted(node, weight) => format!("{}^{weight}", shown(node)),
        Node::Leaf(Some(field), leaf) => format!("{field}:{}", shown(&Node::Leaf(None, leaf.clone()))),
        Node::Leaf(None, leaf) => match leaf {
            Leaf::Word(word) => word.clone(),
            Leaf::Phrase(text, slop) => format!("\"{text}\"~{slop}"),
            Leaf::Prefix(word) => format!("{word}*"),
            Leaf::Fuzzy(word, distance) => format!("{word}~{distance}"),
            Leaf::Keywords(low, high) => format!("<{}..{}>", bound(low), bound(high)),
            Leaf::Floats(low, high) => format!("<{}..{}>", bound(low), bound(high)),
            Leaf::Whole(range) => format!("<{range:?}>"),
        },
        Node::Group(parts) => {
            let part = |(occurs, node): &(Occurs, Node)| {
                let sign = match occurs {
                    Occurs::Plainly => "",
                    Occurs::Must => "+",
                    Occurs::May => "?",
                    Occurs::Not => "-",
                };
                format!("{sign}{}", shown(node))
            };
            format!("({})", parts.iter().map(part).collect::<Vec<String>>().join(" "))
        }
    }
}

fn check(text: &str, expected: &str) {
    match parse(text, &fields()) {
        Ok(node) => assert_eq!(shown(&node), expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn check_wrong(text: &str, at: usize, why: &str) {
    let error = parse(text, &fields()).expect_err(&text[..text.len().min(80)]);
    assert!(error.at == at && error.why.contains(why), "{error}");
}

#[test]
fn queries_are_read() {
    check("scarf", "scarf");
    check("  red  wool ", "(red wool)");
    check("red AND wool OR silk", "(?(+red +wool) ?silk)");
    check("red wool OR silk", "(?(red wool) ?silk)");
    check("red && (wool || silk)", "(+red +(?wool ?silk))");
    check("+red -wool !silk NOT linen", "(+red -wool -silk -linen)");
    check("NOT (red wool)", "(-(red wool))");
    check("-red", "(-red)");
    check("t-shirt a+b", "(t-shirt a+b)");
    check("ANDROID ORANGE NOTE TOAST", "(ANDROID ORANGE NOTE TOAST)");
    check("\"wool scarf\"", "\"wool scarf\"~0");
    check("\"wool scarf\"~3^2", "\"wool scarf\"~3^2");
    check("scar* scraf~ scraf~2 exact~0", "(scar* scraf~1 scraf~2 exact~0)");
    check("title:scarf", "0:scarf");
    check("TITLE:scar*", "0:scar*");
    check("title:(red -wool)", "(0:red -0:wool)");
    check("title:\"red wool\"", "0:\"red wool\"~0");
    check("Odd\\ Name:x", "2:x");
    check("price:[10 TO 20]", "4:<=10..=20>");
    check("price:{10 TO 20.5]", "4:<10..=20.5>");
    check("price:[* TO 20}", "4:<*..20>");
    check("price:9", "4:<=9..=9>");
    check("price:-5", "4:<=-5..=-5>");
    check("price:>10 price:>=10 price:<-5.5", "(4:<10..*> 4:<=10..*> 4:<*..-5.5>)");
    check(
        "count:7 count:[1 TO 3} count:(7 OR -8)",
        "(3:<7..=7> 3:<1..=2> (?3:<7..=7> ?(-3:<8..=8>)))",
    );
    check("code:[\"a b\" TO c]", "1:<=a b..=c>");
    check("code:<=x code:\"Two Words\" code:AB*", "(1:<*..=x> 1:Two Words 1:AB*)");
    check("code:<\"\"", "1:<*..>");
    check("code:[2024-01-01T10:00:00Z TO *]", "1:<=2024-01-01T10:00:00Z..*>");
    check("code:2024-01-01T10:00", "1:2024-01-01T10:00");
    check("price:* *", "(4:* all)");
    check("\\(x\\) a\\:b \\AND \\\\", "((x) a:b AND \\)");
    check("50% & more", "(50% & more)");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    check_wrong("", 1, "it is empty");
    check_wrong("   ", 4, "it is empty");
    check_wrong("ä (red", 3, "'(' is not closed");
    check_wrong("red)", 4, "closes nothing");
    check_wrong("()", 2, "')' stands");
    check_wrong("red AND", 8, "the query ends");
    check_wrong("OR red", 1, "an operator stands");
    check_wrong("red AND OR blue", 9, "an operator stands");
    check_wrong("\"red", 1, "the phrase is not closed");
    check_wrong("colour:red", 1, "there is no field 'colour'");
    check_wrong("title: red", 7, "nothing is looked for in 'title'");
    check_wrong("red [1 TO 2]", 5, "'[' has nothing before it");
    check_wrong("price:[1 2]", 10, "not written as ranges are");
    check_wrong("price:[1 TO 2", 7, "not written as ranges are");
    check_wrong("price:[ TO 2]", 12, "not written as ranges are");
    check_wrong("price:>", 8, "the range has no end");
    check_wrong("wo*d", 3, "in the middle");
    check_wrong("*ing", 1, "before a word");
    check_wrong("word~3", 5, "3 letters");
    check_wrong("\"a b\"~x", 6, "no number of words");
    check_wrong("word^", 5, "no weight");
    check_wrong("word^0", 5, "no weight");
    check_wrong("word\\", 6, "nothing behind it");
    check_wrong("+", 2, "the query ends");
    check_wrong("red price:cheap", 11, "'cheap' is no value of 'price', a number");
    check_wrong("count:[1 TO many]", 7, "'many' is no value of 'count'");
    check_wrong("count:1*", 7, "it has no beginnings");
    check_wrong("title:[a TO b]", 7, "a range is asked of 'title', a text");
    let error = parse("red", &fields()[3..]).expect_err("no text field");
    assert!(error.why.contains("there are none"), "{error}");
}

#[test]
fn hostile_queries_are_bounded() {
    let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
    check(&nested(QUERY_DEPTH_MAX), "x");
    check_wrong(&nested(QUERY_DEPTH_MAX + 1), QUERY_DEPTH_MAX + 1, "nest deeper");
    check_wrong(&"(".repeat(60_000), QUERY_DEPTH_MAX + 1, "nest deeper");
    assert!(parse(&"x ".repeat(QUERY_WORDS_MAX), &fields()).is_ok());
    check_wrong(
        &"x ".repeat(QUERY_WORDS_MAX + 1),
        2 * QUERY_WORDS_MAX + 1,
        "more than 1024 words",
    );
    assert!(parse(&"x".repeat(QUERY_BYTES_MAX), &fields()).is_ok());
    check_wrong(&"x".repeat(1 << 20), 1, "bytes");
    // A value has colons of its own: fields do not nest.
    assert!(parse(&"title:".repeat(5_000), &fields()).is_ok());
}
