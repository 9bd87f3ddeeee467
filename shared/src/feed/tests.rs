use super::*;

#[test]
fn pages_end_at_multiples_of_the_alignment() {
    assert_eq!(page_end(0), 1_000);
    assert_eq!(page_end(999), 1_000);
    assert_eq!(page_end(1_000), 2_000);
}

#[test]
fn the_required_version_grows_with_time() {
    let agreement = Agreement {
        agreement: AgreementId::from_bytes([1; 16]),
        products: None,
        required: vec![
            RequiredVersion {
                version: 1,
                from_ms: 10,
            },
            RequiredVersion {
                version: 3,
                from_ms: 20,
            },
        ],
    };
    let at = |now| agreement.required_at(now);
    assert_eq!([at(9), at(10), at(19), at(20)], [0, 1, 1, 3]);
}

#[test]
fn a_period_is_found_and_the_nearest_serves_outside() {
    let subscription = Subscription {
        subscription: SubscriptionId::from_bytes([1; 16]),
        app: AppId::from_bytes([2; 16]),
        product: ProductId::from_bytes([3; 16]),
        plan: PlanId::from_bytes([4; 16]),
        environments: vec![Environment::Test],
        ends_at_ms: None,
        periods: vec![10, 20, 30],
    };
    assert_eq!(subscription.period_at(5), Some((10, 20)));
    assert_eq!(subscription.period_at(19), Some((10, 20)));
    assert_eq!(subscription.period_at(20), Some((20, 30)));
    assert_eq!(subscription.period_at(99), Some((20, 30)));
}

#[test]
fn packed_credentials_round_trip_through_json() {
    let row = PackedCredential {
        hash: KeyHash([7; 16]),
        credential: CredentialId::from_bytes([9; 16]),
        app: 258,
        environment: Environment::Live,
    };
    let mut packed = PackedCredentials::default();
    packed.push(&row);
    let json = serde_json::to_string(&packed).unwrap();
    let read: PackedCredentials = serde_json::from_str(&json).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read.iter().next(), Some(row));
    assert!(serde_json::from_str::<PackedCredentials>("\"AAAA\"").is_err());
}
