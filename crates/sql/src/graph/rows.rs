//! The rows of a graph's tables while a pattern is answered: those of views as of one position, or those that were read whole.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use headwater_views::{EdgeEnd, ViewReader};

use crate::{SqlError, SqlState};

/// The rows found for some keys, and for each key its place among them.
pub(super) type Found = (RecordBatch, Vec<Option<usize>>);

/// Vertices of one table.
pub(crate) struct VertexRows {
    codec: Codec,
    rows: VertexSource,
}

enum VertexSource {
    Key(Arc<ViewReader>),
    Kept(RecordBatch, HashMap<Vec<u8>, usize>),
    Implied,
}

/// Edges of one table.
pub(crate) enum EdgeRows {
    Ends { reader: Arc<ViewReader>, is_turned: bool },
    Kept(KeptEdges),
}

/// Edges that were read whole. An edge's key is the number of its row.
pub(crate) struct KeptEdges {
    rows: RecordBatch,
    source: KeptEnds,
    destination: KeptEnds,
}

struct KeptEnds {
    vertices: Vec<Option<Vec<u8>>>,
    edges: HashMap<Vec<u8>, Vec<u32>>,
}

/// A vertex as bytes: its key as it stands in the keys of views.
pub(super) struct Codec {
    converter: RowConverter,
    data_type: DataType,
}

impl Codec {
    pub(super) fn new(data_type: &DataType) -> Result<Codec> {
        Ok(Codec {
            converter: RowConverter::new(vec![SortField::new(data_type.clone())])?,
            data_type: data_type.clone(),
        })
    }

    /// The vertices that values are; `None` where one is NULL.
    pub(super) fn encode(&self, values: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>> {
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        let vertices = rows.iter().enumerate();
        Ok(vertices
            .map(|(at, row)| values.is_valid(at).then(|| row.data().to_vec()))
            .collect())
    }

    /// The vertex that a value is; `None` where it is NULL.
    pub(super) fn encode_value(&self, value: &ScalarValue) -> Result<Option<Vec<u8>>> {
        let value = value.cast_to(&self.data_type)?.to_array_of_size(1)?;
        Ok(self.encode(&value)?.pop().flatten())
    }

    /// The values of vertices.
    pub(super) fn decode(&self, vertices: &[&[u8]]) -> Result<ArrayRef> {
        let parser = self.converter.parser();
        let mut columns = self
            .converter
            .convert_rows(vertices.iter().map(|vertex| parser.parse(vertex)))?;
        columns
            .pop()
            .ok_or_else(|| DataFusionError::Internal("a vertex without a value".to_owned()))
    }
}

impl VertexRows {
    /// The rows of a view, reached by its key.
    pub(super) fn by_key(data_type: &DataType, reader: Arc<ViewReader>) -> Result<VertexRows> {
        let rows = VertexSource::Key(reader);
        Ok(VertexRows {
            codec: Codec::new(data_type)?,
            rows,
        })
    }

    /// Every end of an edge.
    pub(super) fn implied(data_type: &DataType) -> Result<VertexRows> {
        Ok(VertexRows {
            codec: Codec::new(data_type)?,
            rows: VertexSource::Implied,
        })
    }

    /// Rows that were read whole, told apart by a column.
    pub(super) fn kept(table: &str, data_type: &DataType, rows: RecordBatch, key: usize) -> Result<VertexRows> {
        let codec = Codec::new(data_type)?;
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        for (place, vertex) in codec.encode(rows.column(key))?.into_iter().enumerate() {
            let Some(vertex) = vertex else { continue };
            if places.insert(vertex, place).is_some() {
                let value = ScalarValue::try_from_array(rows.column(key), place)?;
                let message = format!("two rows of the vertex table '{table}' have the key {value}");
                return Err(SqlError::new(SqlState::CARDINALITY, message)
                    .hint("name as KEY a column that tells the rows apart")
                    .into());
            }
        }
        let rows = VertexSource::Kept(rows, places);
        Ok(VertexRows { codec, rows })
    }

    pub(super) fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Whether its vertices have rows, without which they are none.
    pub(super) fn has_rows(&self) -> bool {
        !matches!(self.rows, VertexSource::Implied)
    }

    /// The rows of some vertices.
    pub(super) fn find(&self, vertices: &[&[u8]]) -> Result<Found> {
        match &self.rows {
            VertexSource::Key(reader) => Ok(reader.find(vertices).map_err(SqlError::from)?),
            VertexSource::Kept(rows, places) => {
                let found = vertices.iter().map(|vertex| places.get(*vertex).copied());
                Ok((rows.clone(), found.collect()))
            }
            VertexSource::Implied => Err(DataFusionError::Internal("implied vertices have no rows".to_owned())),
        }
    }

    /// All vertices that are there: those that a HAVING let go are left out.
    pub(super) fn all_shown(&self) -> Result<Box<dyn Iterator<Item = Result<Vec<u8>>> + '_>> {
        let all = self.all()?;
        match &self.rows {
            VertexSource::Key(reader) if !reader.shows_all() => Ok(Box::new(all.filter_map(move |vertex| {
                let shown = vertex.and_then(|vertex| {
                    let (_, places) = reader.find(&[&vertex]).map_err(SqlError::from)?;
                    Ok(places.first().is_some_and(Option::is_some).then_some(vertex))
                });
                shown.transpose()
            }))),
            _ => Ok(all),
        }
    }

    /// All vertices that have rows. NULL is none.
    pub(super) fn all(&self) -> Result<Box<dyn Iterator<Item = Result<Vec<u8>>> + '_>> {
        match &self.rows {
            VertexSource::Key(reader) => {
                let null = self
                    .codec
                    .converter
                    .convert_columns(&[datafusion::arrow::array::new_null_array(&self.codec.data_type, 1)])?;
                let null = null.row(0).data().to_vec();
                let keys = reader.keys().map(|key| Ok(key.map_err(SqlError::from)?));
                Ok(Box::new(keys.filter(move |key: &Result<Vec<u8>>| {
                    key.as_ref().map_or(true, |key| *key != null)
                })))
            }
            VertexSource::Kept(_, places) => Ok(Box::new(places.keys().map(|key| Ok(key.clone())))),
            VertexSource::Implied => Ok(Box::new(std::iter::empty())),
        }
    }
}

impl EdgeRows {
    /// Edges that were read whole.
    pub(super) fn kept(rows: RecordBatch, source: usize, destination: usize) -> Result<EdgeRows> {
        let ends = |column: usize| -> Result<KeptEnds> {
            let codec = Codec::new(rows.column(column).data_type())?;
            let vertices = codec.encode(rows.column(column))?;
            let mut edges: HashMap<Vec<u8>, Vec<u32>> = HashMap::new();
            for (place, vertex) in vertices.iter().enumerate() {
                if let Some(vertex) = vertex {
                    edges.entry(vertex.clone()).or_default().push(place as u32);
                }
            }
            Ok(KeptEnds { vertices, edges })
        };
        Ok(EdgeRows::Kept(KeptEdges {
            source: ends(source)?,
            destination: ends(destination)?,
            rows,
        }))
    }

    /// The keys of the edges that have a vertex at this end.
    pub(super) fn at<'a>(&'a self, end: EdgeEnd, vertex: &[u8]) -> Box<dyn Iterator<Item = Result<Vec<u8>>> + 'a> {
        match self {
            EdgeRows::Ends { reader, is_turned } => {
                let keys = reader.edges_at(turned(end, *is_turned), vertex);
                Box::new(keys.map(|key| Ok(key.map_err(SqlError::from)?)))
            }
            EdgeRows::Kept(kept) => {
                let edges = kept.end(end).edges.get(vertex).map_or(&[] as &[u32], Vec::as_slice);
                Box::new(edges.iter().map(|row| Ok(row.to_be_bytes().to_vec())))
            }
        }
    }

    /// The keys of all edges.
    pub(super) fn all<'a>(&'a self) -> Box<dyn Iterator<Item = Result<Vec<u8>>> + 'a> {
        match self {
            EdgeRows::Ends { reader, .. } => Box::new(reader.keys().map(|key| Ok(key.map_err(SqlError::from)?))),
            EdgeRows::Kept(kept) => {
                let rows = 0..kept.rows.num_rows() as u32;
                Box::new(rows.map(|row| Ok(row.to_be_bytes().to_vec())))
            }
        }
    }

    /// The vertices at one end of edges; `None` where it is NULL.
    pub(super) fn vertices(&self, end: EdgeEnd, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        match self {
            EdgeRows::Ends { reader, is_turned } => {
                Ok(reader.vertices(turned(end, *is_turned), keys).map_err(SqlError::from)?)
            }
            EdgeRows::Kept(kept) => {
                let ends = &kept.end(end).vertices;
                Ok(keys.iter().map(|key| ends.get(number(key))?.clone()).collect())
            }
        }
    }

    /// Whether an edge may have gone although its key is there: a HAVING let it go.
    pub(super) fn may_lack_rows(&self) -> bool {
        match self {
            EdgeRows::Ends { reader, .. } => !reader.shows_all(),
            EdgeRows::Kept(_) => false,
        }
    }

    /// The rows of some edges.
    pub(super) fn find(&self, keys: &[&[u8]]) -> Result<Found> {
        match self {
            EdgeRows::Ends { reader, .. } => Ok(reader.find(keys).map_err(SqlError::from)?),
            EdgeRows::Kept(kept) => {
                let rows: Vec<u32> = keys.iter().map(|key| number(key) as u32).collect();
                let places = (0..rows.len()).map(Some).collect();
                Ok((take_record_batch(&kept.rows, &UInt32Array::from(rows))?, places))
            }
        }
    }
}

impl KeptEdges {
    fn end(&self, end: EdgeEnd) -> &KeptEnds {
        match end {
            EdgeEnd::Source => &self.source,
            EdgeEnd::Destination => &self.destination,
        }
    }
}

/// Batches as one.
pub(super) fn joined(batches: &[RecordBatch], schema: &datafusion::arrow::datatypes::SchemaRef) -> Result<RecordBatch> {
    Ok(concat_batches(schema, batches)?)
}

fn turned(end: EdgeEnd, is_turned: bool) -> EdgeEnd {
    match is_turned {
        true => end.other(),
        false => end,
    }
}

/// The row that a kept edge's key is.
fn number(key: &[u8]) -> usize {
    key.first_chunk::<4>()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
}
