//! Finding the operation that a request means, and checking the request against it.

use super::{Call, Context, Mock, plain};
use crate::control::Why;
use crate::matching::Matched;
use crate::operation::Operation;
use crate::random::Random;
use crate::request::Request;
use crate::response::{Problem, Response, refusal_response};
use crate::validation::request::{challenge, check, check_credentials};

impl Mock {
    /// Finds the operation and checks the request.
    pub(super) fn understand(
        &self,
        request: &Request<'_>,
        context: &Context,
        why: &mut Why,
    ) -> Result<Call<'_>, Response> {
        let (path, fragment) = if self.has_fragments {
            split_fragment(request.path)
        } else {
            (request.path, None)
        };
        let mut matched = self.routes.find(request.method, path);
        if request.method == "HEAD" && !matches!(matched, Matched::Operations(..)) {
            matched = self.routes.find("GET", path);
        }
        let (indices, values) = match matched {
            Matched::Operations(indices, values) => (indices, values),
            Matched::OtherMethods(mut methods) => {
                // Every GET can be asked without its body.
                if let Some(get) = methods.iter().position(|method| method == "GET")
                    && !methods.iter().any(|method| method == "HEAD")
                {
                    methods.insert(get + 1, "HEAD".to_owned());
                }
                let allow = methods.join(", ");
                if request.method == "OPTIONS" {
                    return Err(Response {
                        status: 204,
                        headers: Vec::new(),
                        body: Vec::new(),
                    }
                    .with("allow", allow));
                }
                let message = format!(
                    "{} is not a method of {path}; it has {allow}.",
                    request.method
                );
                why.outcome = "unknown_method";
                return Err(plain(405, "method_not_allowed", &message).with("allow", allow));
            }
            Matched::Nothing => {
                why.outcome = "unknown_path";
                return Err(plain(
                    404,
                    "unknown_path",
                    &format!(
                        "{} {path} is not an operation of {}.",
                        request.method, self.api.title
                    ),
                ));
            }
        };
        let mut candidates: Vec<&Operation> = indices
            .iter()
            .filter_map(|index| self.api.operations.get(*index))
            .collect();
        if let Some(fragment) = fragment {
            candidates.retain(|operation| operation.fragment.as_deref() == Some(fragment.as_str()));
        }
        // Several operations on one route: the one that knows most of what the request says.
        let mut best: Option<Call<'_>> = None;
        let mut refusal: Option<Response> = None;
        for operation in candidates {
            let random = || Random::for_parts(context.seed, &[&operation.id, request.path]);
            why.try_operation(operation, refusal.is_none());
            if let Err(broken) = check_credentials(&self.api, operation, request) {
                let problem = Problem::of(&[broken]);
                why.refused_by(&problem);
                let response =
                    refusal_response(&self.api, Some(operation), request, &problem, random());
                let response = if response.status == 401 {
                    response.with("www-authenticate", challenge(&self.api, operation))
                } else {
                    response
                };
                refusal.get_or_insert(response);
                continue;
            }
            match check(&self.api, operation, &values, request) {
                Ok(accepted)
                    if best
                        .as_ref()
                        .is_none_or(|best| accepted.recognised > best.accepted.recognised) =>
                {
                    best = Some(Call {
                        operation,
                        values: values.clone(),
                        accepted,
                    });
                }
                Ok(_) => {}
                Err(broken) => {
                    let problem = Problem::of(&broken);
                    why.refused_by(&problem);
                    let response =
                        refusal_response(&self.api, Some(operation), request, &problem, random());
                    refusal.get_or_insert(response);
                }
            }
        }
        if let Some(best) = &best {
            why.try_operation(best.operation, true);
            why.outcome = "answered";
            why.violations.clear();
        }
        best.ok_or_else(|| {
            refusal.unwrap_or_else(|| plain(404, "unknown_path", "There is no such operation."))
        })
    }
}

fn split_fragment(path: &str) -> (&str, Option<String>) {
    let found = path.split_once('#').or_else(|| path.split_once("%23"));
    match found {
        Some((path, fragment)) => (path, Some(crate::text::percent_decode(fragment))),
        None => (path, None),
    }
}
