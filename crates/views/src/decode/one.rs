//! One value that is being appended, read by its stream's newest schema: for doors, which look at it before there is an event.

use arrow::array::ArrayRef;

use super::StreamDecoder;
use super::cell::Builder;
use super::row::RowReader;

impl StreamDecoder {
    /// Whether one value fits the stream's newest schema: for doors that refuse at once. `Err` holds the reason.
    pub fn check(&self, value: Option<&[u8]>) -> Result<(), String> {
        value.map_or(Ok(()), |value| self.read_one(value, &[]).map(drop))
    }

    /// Some of the declared columns of one value, each an array of one; `Err` holds why the value does not fit.
    pub fn read_one(&self, value: &[u8], columns: &[usize]) -> Result<Vec<ArrayRef>, String> {
        let mut scratch = String::new();
        let row = self.codec.row(value, self.codec.now(), &mut scratch)?;
        let Some(declared) = &self.definition.columns else {
            return Ok(Vec::new());
        };
        let mut reader = RowReader::new(declared, self.definition.version());
        reader.read(row)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for column in columns {
            let mut builder = Builder::new(declared[*column].column_type, 1);
            builder.append(&reader.cells[*column], row, &reader.scratch);
            arrays.push(builder.finish());
        }
        Ok(arrays)
    }
}
