//! The functions that PostgreSQL's clients call while they look around.
//!
//! Most of them take texts and give a text, whatever their declared types: that is how they are written down here, a line each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use headwater_catalog::{Catalog, Definition};

use super::objects::{self, DATABASE, PUBLIC, ROLE, SCHEMAS};
use super::settings::setting;
use super::tables::query;
use super::types;
use crate::parse;
use crate::syntax::{Parameter, Statement};

/// What a function says of its arguments, as texts; NULL is none.
type Answer = fn(&Catalog, &[Option<&str>]) -> Option<String>;

const WHOLE: DataType = DataType::Int64;
const FLAG: DataType = DataType::Boolean;
const TEXT: DataType = DataType::Utf8;

fn yes(_: &Catalog, _: &[Option<&str>]) -> Option<String> {
    Some("true".to_owned())
}

fn no(_: &Catalog, _: &[Option<&str>]) -> Option<String> {
    Some("false".to_owned())
}

fn nothing(_: &Catalog, _: &[Option<&str>]) -> Option<String> {
    None
}

/// Name, type of the answer, answer.
const FUNCTIONS: [(&str, DataType, Answer); 63] = [
    ("version", TEXT, |_, _| {
        Some(format!(
            "PostgreSQL {} (Headwater {})",
            setting("server_version")?,
            env!("CARGO_PKG_VERSION")
        ))
    }),
    ("current_database", TEXT, |_, _| Some(DATABASE.1.to_owned())),
    ("current_catalog", TEXT, |_, _| Some(DATABASE.1.to_owned())),
    ("current_schema", TEXT, |_, _| Some("public".to_owned())),
    ("current_setting", TEXT, |_, given| {
        setting(first(given)?).map(str::to_owned)
    }),
    ("set_config", TEXT, |_, given| {
        given.get(1).copied().flatten().map(str::to_owned)
    }),
    ("pg_get_userbyid", TEXT, |_, _| Some(ROLE.1.to_owned())),
    ("pg_encoding_to_char", TEXT, |_, _| Some("UTF8".to_owned())),
    ("pg_char_to_encoding", WHOLE, |_, _| Some("6".to_owned())),
    ("pg_client_encoding", TEXT, |_, _| Some("UTF8".to_owned())),
    ("format_type", TEXT, |_, given| {
        let modifier = given.get(1).copied().flatten().and_then(|text| text.parse().ok());
        Some(types::format(number(given)?, modifier))
    }),
    ("to_regtype", WHOLE, |_, given| {
        Some(types::by_name(first(given)?)?.oid.to_string())
    }),
    ("to_regclass", WHOLE, |catalog, given| {
        class(catalog, first(given)?).map(|oid| oid.to_string())
    }),
    ("to_regproc", WHOLE, |catalog, given| {
        let object = objects::by_name(catalog, first(given)?)?;
        object.kind().is_none().then(|| object.oid.to_string())
    }),
    ("to_regnamespace", WHOLE, |_, given| {
        schema(first(given)?).map(|oid| oid.to_string())
    }),
    ("regclass_name", TEXT, |catalog, given| {
        let given = first(given)?;
        let found = given.parse().ok().and_then(|oid| objects::by_oid(catalog, oid));
        Some(found.map_or_else(|| given.to_owned(), |object| object.definition.name().to_owned()))
    }),
    ("regnamespace_name", TEXT, |_, given| {
        let oid = number(given)?;
        let found = SCHEMAS.iter().find(|(known, _)| *known == oid);
        Some(found.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned()))
    }),
    ("quote_ident", TEXT, |_, given| Some(quoted(first(given)?))),
    ("pg_get_viewdef", TEXT, |catalog, given| {
        let object = objects::by_oid(catalog, number(given)?)?;
        query(&object).map(|text| format!(" {text};"))
    }),
    ("pg_get_functiondef", TEXT, |catalog, given| {
        match objects::by_oid(catalog, number(given)?)?.definition.as_ref() {
            Definition::Command(command) => Some(command.statement.clone()),
            _ => None,
        }
    }),
    ("pg_get_function_arguments", TEXT, arguments),
    ("pg_get_function_identity_arguments", TEXT, arguments),
    ("pg_table_is_visible", FLAG, |catalog, given| {
        let object = objects::by_oid(catalog, number(given)?);
        Some(object.is_some_and(|object| object.schema == PUBLIC).to_string())
    }),
    ("pg_function_is_visible", FLAG, yes),
    ("pg_type_is_visible", FLAG, yes),
    ("pg_collation_is_visible", FLAG, yes),
    ("pg_conversion_is_visible", FLAG, yes),
    ("pg_operator_is_visible", FLAG, yes),
    ("pg_statistics_obj_is_visible", FLAG, yes),
    ("has_table_privilege", FLAG, yes),
    ("has_any_column_privilege", FLAG, yes),
    ("has_column_privilege", FLAG, yes),
    ("has_schema_privilege", FLAG, yes),
    ("has_database_privilege", FLAG, yes),
    ("has_function_privilege", FLAG, yes),
    ("pg_has_role", FLAG, yes),
    ("pg_is_in_recovery", FLAG, no),
    ("pg_relation_is_publishable", FLAG, no),
    ("pg_is_other_temp_schema", FLAG, no),
    ("row_security_active", FLAG, no),
    // No session holds an advisory lock: whoever takes a connection back makes sure of that.
    ("pg_advisory_unlock_all", TEXT, |_, _| Some(String::new())),
    // All sessions are the program's own.
    ("pg_backend_pid", WHOLE, |_, _| Some(std::process::id().to_string())),
    ("pg_my_temp_schema", WHOLE, |_, _| Some("0".to_owned())),
    ("obj_description", TEXT, nothing),
    ("col_description", TEXT, nothing),
    ("shobj_description", TEXT, nothing),
    ("pg_get_expr", TEXT, nothing),
    ("pg_get_constraintdef", TEXT, nothing),
    ("pg_get_indexdef", TEXT, nothing),
    ("pg_get_ruledef", TEXT, nothing),
    ("pg_get_triggerdef", TEXT, nothing),
    ("pg_get_partkeydef", TEXT, nothing),
    ("pg_get_serial_sequence", TEXT, nothing),
    ("pg_get_function_result", TEXT, nothing),
    ("pg_get_function_sqlbody", TEXT, nothing),
    ("pg_get_statisticsobjdef_columns", TEXT, nothing),
    ("pg_tablespace_location", TEXT, nothing),
    // Sizes are not known by table: SHOW VIEWS says what a view takes.
    ("pg_table_size", WHOLE, nothing),
    ("pg_total_relation_size", WHOLE, nothing),
    ("pg_relation_size", WHOLE, nothing),
    ("pg_database_size", WHOLE, nothing),
    ("pg_tablespace_size", WHOLE, nothing),
    ("pg_size_pretty", TEXT, nothing),
];

/// The functions, for a question's state.
pub(crate) fn functions(catalog: &Catalog) -> Vec<ScalarUDF> {
    let named = FUNCTIONS.into_iter().map(|(name, answer_type, answer)| {
        ScalarUDF::from(Function {
            name,
            answer_type,
            answer,
            catalog: catalog.clone(),
            signature: Signature::one_of(
                vec![
                    datafusion::logical_expr::TypeSignature::Nullary,
                    datafusion::logical_expr::TypeSignature::VariadicAny,
                ],
                Volatility::Stable,
            ),
        })
    });
    named.collect()
}

struct Function {
    name: &'static str,
    answer_type: DataType,
    answer: Answer,
    catalog: Catalog,
    signature: Signature,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.answer_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut texts: Vec<ArrayRef> = Vec::new();
        for arg in args.args {
            let array = arg.into_array(rows)?;
            // Lists are never looked at by these functions.
            texts.push(match array.data_type().is_nested() {
                true => Arc::new(StringArray::new_null(rows)),
                false => cast(&array, &DataType::Utf8)?,
            });
        }
        let answers: StringArray = (0..rows)
            .map(|row| {
                let given: Vec<Option<&str>> = texts
                    .iter()
                    .map(|text| text.is_valid(row).then(|| text.as_string::<i32>().value(row)))
                    .collect();
                (self.answer)(&self.catalog, &given)
            })
            .collect();
        let answers = cast(&answers, &self.answer_type)?;
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?)),
            false => Ok(ColumnarValue::Array(answers)),
        }
    }
}

fn first<'a>(given: &[Option<&'a str>]) -> Option<&'a str> {
    given.first().copied().flatten()
}

fn number(given: &[Option<&str>]) -> Option<i64> {
    first(given)?.parse().ok()
}

/// The object id of a relation by its name; a number is one already.
fn class(catalog: &Catalog, name: &str) -> Option<i64> {
    name.parse()
        .ok()
        .or_else(|| objects::by_name(catalog, name).map(|object| object.oid))
}

fn schema(name: &str) -> Option<i64> {
    SCHEMAS.iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid)
}

/// A name as it is written in a statement.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match plain && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// The parameters of a command, as they are declared.
fn arguments(catalog: &Catalog, given: &[Option<&str>]) -> Option<String> {
    let object = objects::by_oid(catalog, number(given)?)?;
    let Definition::Command(command) = object.definition.as_ref() else {
        return None;
    };
    let parameters = parameters(&command.statement)?;
    let parameters = parameters
        .iter()
        .map(|parameter| format!("{} {}", parameter.name.value, parameter.column_type));
    Some(parameters.collect::<Vec<String>>().join(", "))
}

/// The parameters in the statement that defines a command.
pub(super) fn parameters(statement: &str) -> Option<Vec<Parameter>> {
    let parsed = parse::parse(statement, "").ok()?.into_iter().next()?;
    match parsed.statement {
        Statement::CreateCommand { command, .. } => Some(command.parameters),
        _ => None,
    }
}
