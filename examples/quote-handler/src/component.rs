//! The component: the contract with the sandbox.

wit_bindgen::generate!({ path: "../../sandbox-mock/wit/handler" });

use exports::portico::handler::operations::{Guest, Request, Response};

struct Quotes;

export!(Quotes);

impl Guest for Quotes {
    fn handle(request: Request) -> Result<Response, String> {
        if request.operation != "createOrder" {
            return Err(format!("{} is not answered here", request.operation));
        }
        let mut response = request.suggestion;
        if response.status != 201 {
            return Ok(response);
        }
        let order = serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
        match crate::price(order) {
            Ok(order) => response.body = order.to_string().into_bytes(),
            Err(problem) => {
                response = Response {
                    status: 422,
                    headers: vec![(
                        "content-type".to_owned(),
                        "application/problem+json".to_owned(),
                    )],
                    body: problem.to_string().into_bytes(),
                };
            }
        }
        Ok(response)
    }
}
