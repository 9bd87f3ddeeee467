//! Pages of a list: which entries, and what the answer says about the others.

use super::family::Part;
use super::sorting::{SORTS, Sorting};
use crate::json::Value;
use crate::operation::{Api, Location, Operation};
use crate::request::{Request, shape};
use crate::schema::{SchemaId, Types};
use crate::text::{is_id_name, percent_encode, plain_name};

const LIMITS: [&str; 12] = [
    "limit",
    "perpage",
    "pagesize",
    "count",
    "maxresults",
    "first",
    "size",
    "take",
    "max",
    "maxitems",
    "resultsperpage",
    "pagelimit",
];
const PAGES: [&str; 4] = ["page", "pagenumber", "pageindex", "pageno"];
const OFFSETS: [&str; 4] = ["offset", "skip", "start", "startindex"];
const CURSORS: [&str; 12] = [
    "cursor",
    "after",
    "startingafter",
    "pagetoken",
    "nexttoken",
    "marker",
    "nextcursor",
    "nextpagetoken",
    "continuationtoken",
    "startafter",
    "next",
    "pagecursor",
];
const USUAL_LIMIT: usize = 20;

/// What a request asks of a list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    limit: Option<usize>,
    page: Option<usize>,
    offset: usize,
    after: Option<String>,
    oldest_first: bool,
    descending: bool,
    sorting: Option<Sorting>,
    /// A name, and the values of which one will do.
    filters: Vec<(String, Vec<String>)>,
    names: Names,
}

#[derive(Debug, Default)]
struct Names {
    page: Option<String>,
    offset: Option<String>,
    cursor: Option<String>,
}

/// What the `Link` header of a page says.
#[derive(Debug)]
pub(crate) enum PageLink {
    Next(String),
    /// Said only where the document declares the header.
    Last(String),
}

/// What was chosen.
pub(crate) struct Chosen {
    pub(crate) ids: Vec<String>,
    pub(super) total: usize,
    start: usize,
    next: Option<String>,
}

impl Page {
    pub(crate) fn read(api: &Api, operation: &Operation, request: &Request<'_>) -> Page {
        let pairs = request.query_pairs();
        let mut page = Page::default();
        for parameter in operation
            .parameters
            .iter()
            .filter(|parameter| parameter.location == Location::Query)
        {
            let plain = plain_name(&parameter.name);
            let plain = plain.as_str();
            let sent = pairs
                .iter()
                .find(|(name, _)| *name == parameter.name)
                .map(|(_, value)| value.as_str());
            let number = || sent.and_then(|text| text.parse::<usize>().ok());
            let declared_default = || {
                let notes = parameter
                    .schema
                    .and_then(|id| api.schemas.get(id).notes.as_ref())?;
                notes.default.as_ref()?.parse::<usize>().ok()
            };
            if LIMITS.contains(&plain) {
                page.limit = number()
                    .or_else(declared_default)
                    .or(page.limit)
                    .or(Some(USUAL_LIMIT))
                    .map(|limit| limit.clamp(1, 1_000));
            } else if PAGES.contains(&plain) {
                let first = declared_default().unwrap_or(1).min(1);
                page.page = Some(number().unwrap_or(first).saturating_sub(first));
                page.names.page = Some(parameter.name.clone());
            } else if OFFSETS.contains(&plain) {
                page.offset = number().unwrap_or(0);
                page.names.offset = Some(parameter.name.clone());
            } else if CURSORS.contains(&plain) {
                page.after = sent
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
                    .or(page.after);
                page.names.cursor.get_or_insert(parameter.name.clone());
            } else if matches!(
                plain,
                "order" | "direction" | "sortorder" | "sortdirection" | "dir"
            ) {
                let says =
                    |word| sent.is_some_and(|text| text.to_ascii_lowercase().starts_with(word));
                (page.oldest_first, page.descending) = (says("asc"), says("desc"));
            } else if SORTS.contains(&plain) {
                page.sorting = sent.and_then(Sorting::read);
            } else {
                let bare = parameter.name.trim_end_matches("[]");
                let values: Vec<String> = pairs
                    .iter()
                    .filter(|(name, _)| name.trim_end_matches("[]") == bare)
                    .flat_map(|(_, value)| value.split(',').map(str::to_owned))
                    .collect();
                if !values.is_empty() {
                    page.filters.push((bare.to_owned(), values));
                }
            }
        }
        let walks =
            page.names.page.is_some() || page.names.offset.is_some() || page.names.cursor.is_some();
        if walks && page.limit.is_none() {
            page.limit = Some(USUAL_LIMIT);
        }
        page
    }

    /// Whether the entities themselves decide which ones are shown, and in which order.
    pub(super) fn looks_at_entities(&self) -> bool {
        !self.filters.is_empty() || self.sorting.is_some()
    }

    /// Brings entities into the order that is asked for.
    pub(super) fn sort(&self, entities: &mut [(String, Value)]) {
        if let Some(sorting) = &self.sorting {
            sorting.sort(self.descending, entities);
        }
    }

    /// Whether an entity passes the filters that name one of its members.
    pub(crate) fn passes(&self, entity: &Value) -> bool {
        self.filters.iter().all(|(name, wanted)| {
            let wanted_name = plain_name(name);
            let member = entity
                .as_object()
                .unwrap_or_default()
                .iter()
                .find(|(known, _)| plain_name(known) == wanted_name);
            let member = member.map(|(_, value)| value);
            // An object is named by its id.
            let named = member.and_then(Value::as_object).and_then(|inner| {
                let id = inner.iter().find(|(name, _)| is_id_name(name));
                id.map(|(_, id)| id)
            });
            match named.or(member) {
                Some(Value::String(text)) => wanted
                    .iter()
                    .any(|wanted| text.eq_ignore_ascii_case(wanted)),
                Some(value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_))) => {
                    wanted.contains(&value.to_string())
                }
                _ => true,
            }
        })
    }

    /// Chooses among the ids, which come oldest first.
    pub(crate) fn choose(&self, ids: &[String]) -> Chosen {
        let mut ids: Vec<&String> = ids.iter().collect();
        if !self.oldest_first && self.sorting.is_none() {
            ids.reverse();
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let start = match (&self.after, self.page) {
            (Some(after), _) => ids
                .iter()
                .position(|id| *id == after)
                .map_or(ids.len(), |at| at + 1),
            (None, Some(page)) => page.saturating_mul(limit),
            (None, None) => self.offset,
        };
        let chosen: Vec<String> = ids
            .iter()
            .skip(start)
            .take(limit)
            .map(|id| (*id).clone())
            .collect();
        let more = start.saturating_add(chosen.len()) < ids.len();
        let next = chosen.last().filter(|_| more).cloned();
        Chosen {
            ids: chosen,
            total: ids.len(),
            start,
            next,
        }
    }

    /// The answer as far as it is known: the entries, and what surrounds them.
    pub(crate) fn answer(
        &self,
        api: &Api,
        schema: SchemaId,
        operation: &Operation,
        request: &Request<'_>,
        chosen: &Chosen,
        entries: Vec<Value>,
    ) -> Option<Value> {
        let types = shape::types(&api.schemas, schema);
        if types.has(Types::ARRAY) && !types.has(Types::OBJECT) {
            return Some(Value::Array(entries));
        }
        let path = list_member(api, schema, operation)?;
        let mut inner = schema;
        let mut answer = Value::Object(Vec::new());
        let mut around = Value::Object(self.around(api, schema, request, chosen));
        let mut entries = Value::Array(entries);
        for name in path.iter().rev() {
            entries = Value::Object(vec![(name.clone(), entries)]);
        }
        if let (Value::Object(members), [outer, _]) = (&entries, path.as_slice()) {
            // The list stands in an object of its own, which may carry the cursor too.
            if let Some(id) = shape::property(&api.schemas, schema, outer) {
                inner = id;
            }
            let mut wrapped = members
                .first()
                .map_or(Value::Null, |(_, value)| value.clone());
            for (name, value) in self.around(api, inner, request, chosen) {
                wrapped.set(&name, value);
            }
            around.set(outer, wrapped);
            return Some(around);
        }
        for value in [&around, &entries] {
            for (name, member) in value.as_object().unwrap_or_default() {
                answer.set(name, member.clone());
            }
        }
        Some(answer)
    }

    fn around(
        &self,
        api: &Api,
        schema: SchemaId,
        request: &Request<'_>,
        chosen: &Chosen,
    ) -> Vec<(String, Value)> {
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let next = || chosen.next.as_ref();
        let limit = self.limit.unwrap_or(chosen.ids.len().max(1));
        let mut members = Vec::new();
        for (name, id) in shape::properties(&api.schemas, schema) {
            let types = shape::types(&api.schemas, id);
            let text_or_null = |text: Option<String>| {
                text.map_or(
                    if types.has(Types::NULL) {
                        Value::Null
                    } else {
                        Value::from("")
                    },
                    Value::from,
                )
            };
            let plain = plain_name(&name);
            let value = match plain.as_str() {
                "hasmore" | "hasnext" | "hasnextpage" | "truncated" | "istruncated" => {
                    Value::Bool(next().is_some())
                }
                "islast" | "last" if types.has(Types::BOOLEAN) => Value::Bool(next().is_none()),
                "total" | "totalcount" | "totalresults" | "totalitems" | "totalrecords"
                | "totalsize"
                    if !types.has(Types::OBJECT) =>
                {
                    count(chosen.total)
                }
                "count" | "resultcount" if types.has(Types::INTEGER) => {
                    count(if self.names.page.is_some() {
                        chosen.total
                    } else {
                        chosen.ids.len()
                    })
                }
                "firstid" => text_or_null(chosen.ids.first().cloned()),
                "lastid" => text_or_null(chosen.ids.last().cloned()),
                "page" | "pagenumber" | "currentpage" if types.has(Types::INTEGER) => {
                    count(chosen.start / limit + usize::from(!self.counts_from_zero()))
                }
                "pagecount" | "totalpages" | "numpages" => count(chosen.total.div_ceil(limit)),
                "pagesize" | "perpage" | "limit" if types.has(Types::INTEGER) => count(limit),
                "offset" if types.has(Types::INTEGER) => count(chosen.start),
                "nextcursor" | "nextpagetoken" | "nexttoken" | "nextmarker" | "cursor"
                | "after" | "continuationtoken" => text_or_null(next().cloned()),
                "next" | "nextpageuri" | "nexturl" | "nextpage" | "nextlink"
                    if types.has(Types::STRING) =>
                {
                    text_or_null(next().map(|_| self.next_url(request, chosen)))
                }
                _ => continue,
            };
            // An empty text for "no more" is only said where null cannot be.
            if value == Value::from("") && !types.has(Types::NULL) {
                continue;
            }
            members.push((name, value));
        }
        members
    }

    fn counts_from_zero(&self) -> bool {
        self.names
            .page
            .as_deref()
            .is_some_and(|name| plain_name(name) == "pageindex")
    }

    /// The path and query of the next page.
    pub(crate) fn next_url(&self, request: &Request<'_>, chosen: &Chosen) -> String {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        let (name, value) = match (&self.names.cursor, &self.names.page, &self.names.offset) {
            (Some(name), _, _) => (name.as_str(), chosen.next.clone().unwrap_or_default()),
            (None, Some(name), _) => (
                name.as_str(),
                (chosen.start / limit + 1 + usize::from(!self.counts_from_zero())).to_string(),
            ),
            (None, None, Some(name)) => (name.as_str(), (chosen.start + limit).to_string()),
            (None, None, None) => ("cursor", chosen.next.clone().unwrap_or_default()),
        };
        let mut pairs: Vec<(String, String)> = request.query_pairs();
        pairs.retain(|(known, _)| known != name);
        pairs.push((name.to_owned(), value));
        let query: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
            .collect();
        format!("{}?{}", request.path, query.join("&"))
    }

    /// The `Link` header: the next page, and at the end only this one.
    pub(crate) fn link(&self, request: &Request<'_>, chosen: &Chosen) -> PageLink {
        if chosen.next.is_some() {
            return PageLink::Next(format!(
                "<{}>; rel=\"next\"",
                self.next_url(request, chosen)
            ));
        }
        let mark = if request.query.is_empty() { "" } else { "?" };
        PageLink::Last(format!(
            "<{}{mark}{}>; rel=\"self\"",
            request.path, request.query
        ))
    }
}

/// The member of an answer, or of an object in it, that is the list.
fn list_member(api: &Api, schema: SchemaId, operation: &Operation) -> Option<Vec<String>> {
    let last = operation
        .path
        .rsplit('/')
        .find(|part| !part.is_empty() && !part.starts_with('{'))
        .unwrap_or("");
    let last = plain_name(last.split('.').next().unwrap_or(last));
    let best = |id: SchemaId| {
        let properties = shape::properties(&api.schemas, id);
        let mut lists: Vec<(u32, String)> = properties
            .iter()
            .filter(|(_, id)| {
                let types = shape::types(&api.schemas, *id);
                types.has(Types::ARRAY) && !types.has(Types::STRING)
            })
            .map(|(name, id)| {
                let plain = plain_name(name);
                let known = [
                    "data", "items", "results", "entries", "values", "records", "list", "content",
                    "rows",
                ];
                let of_objects = shape::items(&api.schemas, *id)
                    .is_some_and(|items| !shape::properties(&api.schemas, items).is_empty());
                let rank = if plain == last {
                    0
                } else if known.contains(&plain.as_str()) {
                    1
                } else if of_objects {
                    2
                } else {
                    3
                };
                (rank, name.clone())
            })
            .collect();
        lists.sort();
        lists.into_iter().next()
    };
    if let Some((_, name)) = best(schema) {
        return Some(vec![name]);
    }
    let inner = shape::properties(&api.schemas, schema)
        .into_iter()
        .filter(|(_, id)| shape::is_object(&api.schemas, *id));
    inner
        .filter_map(|(outer, id)| best(id).map(|(rank, name)| (rank, vec![outer, name])))
        .min()
        .map(|(_, path)| path)
}

/// An entity as an entry of the list: some lists wrap each entry.
pub(crate) fn entry(
    api: &Api,
    part: &Part,
    answer: SchemaId,
    operation: &Operation,
    entity: Value,
) -> Value {
    match entry_schema(api, answer, operation) {
        Some(items) => part.wrapped(api, items, entity),
        None => entity,
    }
}

/// The schema of the entries of a list.
pub(crate) fn entry_schema(api: &Api, answer: SchemaId, operation: &Operation) -> Option<SchemaId> {
    let types = shape::types(&api.schemas, answer);
    let mut list = Some(answer);
    if !types.has(Types::ARRAY) {
        for name in list_member(api, answer, operation).unwrap_or_default() {
            list = list.and_then(|id| shape::property(&api.schemas, id, &name));
        }
    }
    shape::items(&api.schemas, list?)
}

/// A page of a list that was generated: what a client gets when nothing was created. The generated entries are all
/// there are, so a walk ends behind them.
pub(crate) fn page_of_generated(
    api: &Api,
    operation: &Operation,
    request: &Request<'_>,
    schema: SchemaId,
    value: &Value,
    is_empty: bool,
) -> Option<Value> {
    let mut page = Page::read(api, operation, request);
    if !is_empty {
        page.limit?;
    }
    page.oldest_first = true;
    let is_list = value.as_array().is_some();
    let path = if is_list {
        Vec::new()
    } else {
        list_member(api, schema, operation)?
    };
    let entries = path
        .iter()
        .try_fold(value, |value, name| value.get(name))?
        .as_array()?;
    let entries = if is_empty { &[] } else { entries };
    // A cursor is the id of the entry before, or its place where entries have none.
    let any = Part {
        role: super::family::Role::List,
        collection: String::new(),
        parameter: "id".to_owned(),
        outer_values: 0,
    };
    let ids: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| {
            any.id_of(entry)
                .map_or_else(|| format!("entry_{place}"), |(_, id)| id)
        })
        .collect();
    let chosen = page.choose(&ids);
    let kept = ids
        .iter()
        .zip(entries)
        .filter(|(id, _)| chosen.ids.contains(id))
        .map(|(_, entry)| entry.clone())
        .collect();
    let paged = page.answer(api, schema, operation, request, &chosen, kept)?;
    if is_list {
        return Some(paged);
    }
    let mut value = value.clone();
    for (name, member) in paged.as_object().unwrap_or_default() {
        match (value.get(name).cloned(), member) {
            (Some(mut inner @ Value::Object(_)), Value::Object(members)) => {
                for (name, member) in members {
                    inner.set(name, member.clone());
                }
                value.set(name, inner);
            }
            _ => value.set(name, member.clone()),
        }
    }
    Some(value)
}
