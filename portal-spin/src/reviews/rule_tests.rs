//! Twenty good listings pass; each bad one has one defect and is caught by the rule it breaks.

use super::facts::{Facts, ImageFacts, Probe, Traffic, WebhookProbe};
use super::rules::{RULES, run_rules};
use crate::listings::{Content, FieldKind, FormField, ScopeRequest, Screenshot};

fn field(name: &str, label: &str, kind: FieldKind) -> FormField {
    FormField {
        name: name.to_owned(),
        label: label.to_owned(),
        kind,
        hint: String::new(),
        required: true,
        choices: Vec::new(),
        min: None,
        max: None,
        max_length: None,
    }
}

pub(super) fn good() -> Facts {
    let url = |path: &str| format!("https://app.example/{path}");
    let content = Content {
        name: "Order sync".to_owned(),
        summary: "Keeps your warehouse and your shop in step.".to_owned(),
        description: "Order sync copies every new order to your warehouse and brings the tracking number back.\n\n- Works within seconds\n- Tells you when an address is not complete\n- Needs no training, and can be removed at any time".to_owned(),
        logo: "img_logo".to_owned(),
        screenshots: vec![Screenshot { image: "img_one".to_owned(), caption: "The list of orders".to_owned() }],
        categories: vec!["logistics".to_owned()],
        languages: vec!["en".to_owned(), "pt-BR".to_owned()],
        support_url: url("support"),
        support_email: "help@app.example".to_owned(),
        privacy_url: url("privacy"),
        terms_url: url("terms"),
        install_url: url("install"),
        redirect_uris: vec![url("callback")],
        webhook_url: url("hooks"),
        scopes: vec![ScopeRequest { scope: "orders:read".to_owned(), reason: "To copy new orders to the warehouse.".to_owned() }],
        data_use: "Orders are copied to your warehouse and deleted after 30 days.".to_owned(),
        pricing: "Free up to 100 orders a month, then EUR 20.".to_owned(),
        form: vec![FormField { choices: vec!["eu".to_owned(), "us".to_owned()], ..field("region", "Region", FieldKind::Choice) }],
    };
    let probes = [url("support"), url("privacy"), url("terms"), url("install")];
    Facts {
        content,
        logo: Some(ImageFacts {
            width: 512,
            height: 512,
            contrast: 700,
        }),
        screenshots: vec![ImageFacts {
            width: 1_280,
            height: 720,
            contrast: 900,
        }],
        known_scopes: vec!["orders:read".to_owned(), "orders:write".to_owned()],
        probes: probes
            .into_iter()
            .map(|url| (url, Probe::Answered(200)))
            .collect(),
        webhook: Some(WebhookProbe {
            takes_ping: true,
            refuses_forgery: true,
        }),
        traffic: Traffic {
            calls: 100,
            successes: 98,
            client_errors: 2,
            has_recovered: true,
            scopes: vec!["orders:read".to_owned()],
            operations: vec!["listOrders".to_owned()],
            ..Traffic::default()
        },
        has_live_subscription: true,
        has_live_client: true,
        ..Facts::default()
    }
}

fn broken(facts: &Facts) -> Vec<&'static str> {
    RULES
        .iter()
        .filter(|rule| (rule.check)(facts).is_some())
        .map(|rule| rule.id)
        .collect()
}

pub(super) type Change = fn(&mut Facts);

pub(super) const BAD: &[(&str, Change)] = &[
    ("listing.name", |f| f.content.name = "Ok".into()),
    ("listing.name_plain", |f| {
        f.content.name = "★ Order sync ★".into()
    }),
    ("listing.name_plain", |f| {
        f.content.name = "ORDER SYNC".into()
    }),
    ("listing.name_unique", |f| f.is_name_taken = true),
    ("listing.summary", |f| {
        f.content.summary = "Keeps in step.".into()
    }),
    ("listing.summary_differs", |f| {
        f.content.name = "Order sync for everyone".into();
        f.content.summary = "Order sync for everyone.".into();
    }),
    ("listing.description", |f| {
        f.content.description = "Short.\n\nVery.".into()
    }),
    ("listing.description_structure", |f| {
        f.content.description = "word ".repeat(60)
    }),
    ("listing.no_raw_html", |f| {
        f.content.description.push_str(" <b>bold</b>")
    }),
    ("listing.no_placeholder", |f| {
        f.content.description.push_str("\n\nLorem ipsum dolor")
    }),
    ("listing.no_placeholder", |f| {
        f.content.pricing = "TBD: prices".into()
    }),
    ("listing.categories", |f| f.content.categories.clear()),
    ("listing.categories", |f| {
        f.content.categories = vec!["games".into()]
    }),
    ("listing.languages", |f| f.content.languages.clear()),
    ("listing.languages", |f| {
        f.content.languages = vec!["English".into()]
    }),
    ("listing.pricing", |f| f.content.pricing.clear()),
    ("listing.form_labels", |f| {
        f.content.form.push(field("shop", "", FieldKind::Text))
    }),
    ("listing.form_choices", |f| {
        f.content.form = vec![FormField {
            choices: vec!["eu".into()],
            ..field("region", "Region", FieldKind::Choice)
        }]
    }),
    ("listing.form_bounds", |f| {
        f.content.form.push(FormField {
            min: Some(5),
            max: Some(1),
            ..field("days", "Days", FieldKind::Number)
        })
    }),
    ("listing.form_secret", |f| {
        f.content
            .form
            .push(field("warehouse_password", "Password", FieldKind::Text))
    }),
    ("branding.logo", |f| f.logo = None),
    ("branding.logo_size", |f| {
        f.logo = Some(ImageFacts {
            width: 512,
            height: 300,
            contrast: 700,
        })
    }),
    ("branding.logo_size", |f| {
        f.logo = Some(ImageFacts {
            width: 64,
            height: 64,
            contrast: 700,
        })
    }),
    ("branding.logo_contrast", |f| {
        f.logo = Some(ImageFacts {
            width: 512,
            height: 512,
            contrast: 120,
        })
    }),
    ("branding.screenshots", |f| {
        f.content.screenshots.clear();
        f.screenshots.clear();
    }),
    ("branding.screenshot_size", |f| {
        f.screenshots = vec![ImageFacts {
            width: 320,
            height: 200,
            contrast: 500,
        }]
    }),
    ("branding.screenshot_captions", |f| {
        f.content.screenshots = vec![Screenshot {
            image: "img_one".into(),
            caption: String::new(),
        }]
    }),
    ("links.support_url", |f| {
        f.probes
            .insert(f.content.support_url.clone(), Probe::Answered(404));
    }),
    ("links.privacy_url", |f| f.content.privacy_url.clear()),
    ("links.privacy_url", |f| {
        f.probes.insert(
            f.content.privacy_url.clone(),
            Probe::Failed("no such host".into()),
        );
    }),
    ("links.terms_url", |f| {
        f.content.terms_url = "http://app.example/terms".into()
    }),
    ("links.terms_url", |f| {
        f.probes
            .insert(f.content.terms_url.clone(), Probe::Answered(301));
    }),
    ("links.privacy_not_support", |f| {
        f.content.privacy_url = f.content.support_url.clone()
    }),
    ("links.support_email", |f| {
        f.content.support_email = "help".into()
    }),
    ("links.install_url", |f| {
        f.probes.remove(&f.content.install_url);
    }),
    ("links.description_https", |f| {
        f.content.description.push_str(" See http://app.example")
    }),
    ("oauth.redirect_present", |f| {
        f.content.redirect_uris.clear()
    }),
    ("oauth.redirect_safe", |f| {
        f.content.redirect_uris = vec!["https://*.app.example/callback".into()]
    }),
    ("oauth.redirect_safe", |f| {
        f.content.redirect_uris = vec!["http://app.example/callback".into()]
    }),
    ("oauth.redirect_public", |f| {
        f.content.redirect_uris = vec!["https://10.0.0.7/callback".into()]
    }),
    ("oauth.redirect_unique", |f| {
        let uri = f.content.redirect_uris[0].clone();
        f.content.redirect_uris.push(uri);
    }),
    ("oauth.client", |f| f.has_live_client = false),
    ("oauth.scopes_known", |f| {
        f.content.scopes[0].scope = "orders:burn".into();
        f.traffic.scopes = vec!["orders:burn".into()];
    }),
    ("oauth.scopes_unique", |f| {
        let asked = f.content.scopes[0].clone();
        f.content.scopes.push(asked);
    }),
    ("oauth.scope_reasons", |f| {
        f.content.scopes[0].reason = "Needed.".into()
    }),
    ("oauth.scopes_used", |f| {
        f.content.scopes.push(ScopeRequest {
            scope: "orders:write".into(),
            reason: "To mark orders as shipped.".into(),
        })
    }),
    ("oauth.scopes_asked", |f| {
        f.traffic.scopes.push("orders:write".into())
    }),
    ("webhook.https", |f| {
        f.content.webhook_url = "http://app.example/hooks".into();
        f.webhook = None;
    }),
    ("webhook.registered", |f| f.webhook = None),
    ("webhook.ping", |f| {
        f.webhook = Some(WebhookProbe {
            takes_ping: false,
            refuses_forgery: true,
        })
    }),
    ("webhook.refuses_forgery", |f| {
        f.webhook = Some(WebhookProbe {
            takes_ping: true,
            refuses_forgery: false,
        })
    }),
    ("traffic.sandbox_calls", |f| {
        f.traffic.calls = 9;
        f.traffic.successes = 9;
        f.traffic.client_errors = 0;
    }),
    ("traffic.success_rate", |f| f.traffic.successes = 80),
    ("traffic.client_errors", |f| {
        f.traffic.successes = 40;
        f.traffic.client_errors = 60;
    }),
    ("traffic.rate_limits", |f| {
        f.traffic.rate_limited = 30;
        f.traffic.has_recovered = false;
    }),
    ("traffic.refused_credentials", |f| {
        f.traffic.refused_credentials = 50
    }),
    ("traffic.deprecated", |f| {
        f.traffic.deprecated = vec!["listOrdersV0".into()]
    }),
    ("traffic.deprecated", |f| {
        f.traffic.gone = vec!["listParcels".into()]
    }),
    ("compliance.agreements", |f| {
        f.outstanding_agreements = vec!["Data sharing".into()]
    }),
    ("compliance.live_subscription", |f| {
        f.has_live_subscription = false
    }),
    ("compliance.not_suspended", |f| f.is_suspended = true),
    ("compliance.data_use", |f| {
        f.content.data_use = "We use it.".into()
    }),
];

#[test]
fn each_defect_is_caught_by_the_rule_it_breaks_and_by_no_other() {
    for (rule, change) in BAD {
        let mut facts = good();
        change(&mut facts);
        assert_eq!(broken(&facts), [*rule]);
    }
    assert!(BAD.len() >= 40);
}

#[test]
fn every_rule_has_a_listing_that_breaks_it_and_its_id_is_its_own() {
    assert!(RULES.len() >= 40, "{}", RULES.len());
    for (place, rule) in RULES.iter().enumerate() {
        assert!(
            BAD.iter().any(|(broken, _)| *broken == rule.id),
            "{}",
            rule.id
        );
        assert!(
            RULES
                .iter()
                .skip(place + 1)
                .all(|other| other.id != rule.id),
            "{}",
            rule.id
        );
    }
}

/// Each makes another good listing.
pub(super) const GOOD: &[Change] = &[
    |_| {},
    |f| f.content.name = "Ünïcode für alle".into(),
    |f| f.content.name = "R2D2 & Co. (beta)".into(),
    |f| f.content.form.clear(),
    |f| {
        f.content
            .form
            .push(field("token", "Access token", FieldKind::Secret))
    },
    |f| {
        f.content.form.push(FormField {
            min: Some(1),
            max: Some(9),
            ..field("days", "Days", FieldKind::Number)
        })
    },
    |f| {
        f.content.webhook_url.clear();
        f.webhook = None;
    },
    |f| {
        f.content.install_url.clear();
        f.content.redirect_uris.clear();
    },
    |f| {
        f.content
            .redirect_uris
            .push("https://app.example:8443/other?tenant=1".into())
    },
    |f| {
        f.probes
            .insert(f.content.install_url.clone(), Probe::Answered(302));
    },
    |f| f.content.languages = vec!["de".into(), "zh-Hant".into()],
    |f| f.content.categories = vec!["finance".into(), "sales".into(), "data".into()],
    |f| {
        f.logo = Some(ImageFacts {
            width: 128,
            height: 128,
            contrast: 300,
        })
    },
    |f| {
        f.screenshots = vec![ImageFacts {
            width: 640,
            height: 360,
            contrast: 200,
        }]
    },
    |f| {
        f.traffic.rate_limited = 40;
        f.traffic.has_recovered = true;
    },
    |f| {
        f.traffic.calls = 10;
        f.traffic.successes = 10;
        f.traffic.client_errors = 0;
    },
    |f| f.content.scopes.clear(),
    |f| {
        f.content
            .description
            .push_str("\n\nA link: <https://app.example/docs> and 3 < 4.")
    },
    |f| {
        f.content
            .description
            .push_str("\n\nMastodons and methodology, autodoc included.")
    },
    |f| {
        f.allows_loopback = true;
        f.content.support_url = "http://127.0.0.1:8080/help".into();
        f.probes
            .insert(f.content.support_url.clone(), Probe::Answered(204));
    },
];

#[test]
fn twenty_good_listings_pass() {
    for (place, change) in GOOD.iter().enumerate() {
        let mut facts = good();
        change(&mut facts);
        let broken: Vec<&str> = broken(&facts);
        let expected: &[&str] = match place {
            // Advice only: the app used a scope it does not ask for.
            16 => &["oauth.scopes_asked"],
            _ => &[],
        };
        assert_eq!(broken, expected, "{place}");
        assert!(
            run_rules(&facts)
                .iter()
                .all(|finding| finding.passes || !finding.is_blocking)
        );
    }
    assert_eq!(GOOD.len(), 20);
}
