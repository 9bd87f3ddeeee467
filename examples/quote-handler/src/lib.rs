//! Orders of the demo API at the prices of a list, as a handler of the sandbox.

#[cfg(target_family = "wasm")]
mod component;

use serde_json::{Value, json};

/// Prices of one piece in minor units, by product; other products cost `OTHER_PRICE`.
const PRICES: [(&str, i64); 2] = [("prod_4kTz81WqYc", 5_900), ("prod_9xQm27RbVd", 1_250)];
const OTHER_PRICE: i64 = 2_000;
/// An order above this is refused.
const CREDIT_LIMIT: i64 = 100_000;

/// The order that the sandbox suggests, at the prices of the list; or what is wrong with it.
pub fn price(mut order: Value) -> Result<Value, Value> {
    let mut total = 0_i64;
    for item in order
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let product = item.get("product_id").and_then(Value::as_str);
        let listed = PRICES.iter().find(|(known, _)| Some(*known) == product);
        let unit_amount = listed.map_or(OTHER_PRICE, |(_, price)| *price);
        let quantity = item.get("quantity").and_then(Value::as_i64).unwrap_or(0);
        let amount = unit_amount.saturating_mul(quantity);
        item["unit_amount"] = json!(unit_amount);
        item["total_amount"] = json!(amount);
        total = total.saturating_add(amount);
    }
    if total > CREDIT_LIMIT {
        return Err(json!({
            "type": "about:blank",
            "title": "Unprocessable content",
            "status": 422,
            "code": "credit_limit_exceeded",
            "detail": format!("The order costs {total}, the credit limit is {CREDIT_LIMIT}."),
        }));
    }
    order["total_amount"] = json!(total);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_costs_what_the_list_says() {
        let order = json!({"id": "ord_1", "items": [
            {"product_id": "prod_4kTz81WqYc", "quantity": 2},
            {"product_id": "prod_unknown", "quantity": 1},
        ]});
        let priced = price(order).unwrap();
        assert_eq!(priced["total_amount"], 13_800);
        assert_eq!(priced["items"][0]["total_amount"], 11_800);
        assert_eq!(priced["id"], "ord_1");
    }

    #[test]
    fn an_order_above_the_credit_limit_is_refused() {
        let order = json!({"items": [{"product_id": "prod_4kTz81WqYc", "quantity": 17}]});
        assert_eq!(price(order).unwrap_err()["code"], "credit_limit_exceeded");
    }
}
